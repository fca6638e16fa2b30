-- Takes what a task above has left.
return {
  name = "DownAction",
  help = "gives the value of that key",
  run = function(task)
    if share.key == nil then
      fail("nobody has set the key")
    end
    task.trace("the key is " .. share.key)
    return share.key
  end,
}
