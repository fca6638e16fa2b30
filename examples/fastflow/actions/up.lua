-- Leaves something in the share data for the tasks below it.
return {
  name = "UpAction",
  help = "sets a key of the share data",
  run = function(task)
    share.key = "value"
    task.trace("the key is set")
  end,
}
