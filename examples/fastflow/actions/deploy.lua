-- All phases of an action. `value` is private to one attempt: what one phase leaves there the next
-- ones find, unless the engine was restarted in between.
return {
  name = "DeployAction",
  help = "does nothing, in four phases",
  params = {
    {name = "broken", type = "string", default = "", help = "the task that fails at first"},
  },
  retry_before = function(task)
    task.trace("cleans up after attempt " .. task.attempt - 1)
  end,
  -- May be called more than once.
  run_before = function(task)
    value.prepared = task.attempt
    task.trace("prepares")
  end,
  -- Is called once in an attempt.
  run = function(task)
    if task.params.broken == task.id and task.attempt == 1 then
      fail("broken")
    end
    task.trace("runs")
    return {prepared = value.prepared}
  end,
  -- The place for what takes long: after a restart it is called again, and `run` is not.
  run_after = function(task)
    task.trace("is up")
  end,
}
