-- Says that it was called. What it prints goes to the task's log: millrace logs - first
return {
  name = "PrintAction",
  help = "prints a line",
  params = {
    {name = "message", type = "string", default = "is called", help = "what it says"},
  },
  run = function(task)
    print(task.id .. ": " .. task.params.message)
  end,
}
