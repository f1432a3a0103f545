if vim.g.loaded_crosslight then
  return
end
vim.g.loaded_crosslight = true

vim.api.nvim_create_user_command("Crosslight", function(typed)
  require("crosslight.command").run(typed)
end, {
  nargs = "*",
  bang = true,
  desc = "Crosslight: status, explain, reindex, pause, resume, toggle, trigger, log",
  complete = function(...)
    return require("crosslight.command").complete(...)
  end,
})
