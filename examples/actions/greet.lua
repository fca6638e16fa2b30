-- An action written in Lua: a file in a folder of plugins that returns its table. Its name, params and
-- help are checked and shown as those of a plugin in C: `millrace actions greet --plugins DIR`.
return {
  name = "greet",
  help = "says hello to everybody in a list",
  idempotent = true,                   -- an attempt that was cut short may be made again
  params = {
    { name = "who", type = "list", required = true, help = "whom to greet" },
    { name = "word", type = "string", default = "hello", help = "how" },
  },

  run_before = function(task)          -- may happen more than once
    value.began = now()
  end,

  run = function(task)                 -- once for each attempt
    local lines = map(task.params.who, function(name)
      return task.params.word .. " " .. name
    end)
    for _, line in ipairs(lines) do
      print(line)
    end
    share.greeted = (share.greeted or 0) + #lines
    return { lines = lines }           -- the task's output
  end,

  run_after = function(task)           -- `value` is kept from phase to phase
    trace(task.id .. " took " .. now() - value.began .. " ms")
  end,
}
