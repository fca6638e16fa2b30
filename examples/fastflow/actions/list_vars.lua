-- Reads the variables of the run without having them in its params.
return {
  name = "ListVars",
  help = "gives one variable, and the names of all",
  params = {
    {name = "name", type = "string", required = true, help = "which one"},
  },
  run = function(task)
    local names = {}
    for name in pairs(vars) do
      names[#names + 1] = name
    end
    return {value = vars[task.params.name], names = names}
  end,
}
