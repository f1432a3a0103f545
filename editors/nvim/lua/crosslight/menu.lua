--- Whether a completion menu is open: Neovim's own, nvim-cmp's or blink.cmp's; and when that changes.
local M = {}

---@return boolean
function M.is_open()
  if vim.fn.pumvisible() == 1 then
    return true
  end
  -- only asked if something else has loaded them
  local cmp, blink = package.loaded["cmp"], package.loaded["blink.cmp"]
  return (cmp and cmp.visible and cmp.visible())
    or (blink and blink.is_menu_visible and blink.is_menu_visible())
    or false
end

local is_listening_to_cmp = false

--- Call back when a menu opens or closes.
---@param group integer of the autocommands
---@param on_open fun()
---@param on_close fun()
function M.listen(group, on_open, on_close)
  local closed = vim.schedule_wrap(on_close)
  vim.api.nvim_create_autocmd("CompleteChanged", { group = group, callback = on_open })
  vim.api.nvim_create_autocmd("CompleteDone", { group = group, callback = closed })
  vim.api.nvim_create_autocmd("User", { group = group, pattern = "BlinkCmpMenuOpen", callback = on_open })
  vim.api.nvim_create_autocmd("User", { group = group, pattern = "BlinkCmpMenuClose", callback = closed })
  vim.api.nvim_create_autocmd("InsertEnter", {
    group = group,
    callback = function()
      local cmp = package.loaded["cmp"]
      if cmp and cmp.event and not is_listening_to_cmp then
        is_listening_to_cmp = true
        cmp.event:on("menu_opened", on_open)
        cmp.event:on("menu_closed", closed)
      end
    end,
  })
end

return M
