--- Suggestions while typing: when they are asked for, which one is shown, and how it is taken.
---
--- The server decides what is worth showing and when; every change of the text or the cursor is one request, and
--- the one before is cancelled. What is being typed of a suggestion stays on the screen meanwhile, without waiting
--- for the answer. There is one cursor, so there is one of everything here.
local config = require("crosslight.config")
local ghost = require("crosslight.ghost")
local menu = require("crosslight.menu")
local request = require("crosslight.request")
local server = require("crosslight.server")
local status = require("crosslight.status")
local suggestion = require("crosslight.suggestion")

local M = {}

---@class crosslight.Shown
---@field bufnr integer
---@field candidates crosslight.Suggestion[]
---@field index integer
---@field is_invoked boolean whether it was asked for by hand

---@type crosslight.Shown?
local shown
---@type table<string, true> ids of suggestions that the server was told of
local told = {}
local n_told = 0
local MOST_TOLD = 500

--- Return whether what is typed now goes where the cursor is; with 'virtualedit' it may be beyond the line's end.
---@return boolean
local function is_inserting()
  return vim.api.nvim_get_mode().mode:sub(1, 1) == "i" and vim.fn.getpos(".")[4] == 0
end

---@param name string
---@param data? table
local function announce(name, data)
  vim.api.nvim_exec_autocmds("User", { pattern = "Crosslight" .. name, modeline = false, data = data })
end

---@return crosslight.Suggestion?
---@return crosslight.Left? what of it is left at the cursor
local function current()
  local at = request.here()
  if not shown or shown.bufnr ~= at.bufnr then
    return nil
  end
  local one = shown.candidates[shown.index]
  local lines = vim.api.nvim_buf_get_lines(at.bufnr, one.row, at.row + 1, false)
  return one, suggestion.left(one, lines, at.row, at.col)
end

local function hide()
  if shown then
    ghost.clear(shown.bufnr)
    shown = nil
    announce("Hidden")
  end
end

---@param one crosslight.Suggestion
local function tell_shown(one)
  if told[one.id] then
    return
  end
  if n_told >= MOST_TOLD then
    told, n_told = {}, 0
  end
  told[one.id], n_told = true, n_told + 1
  local client = vim.lsp.get_client_by_id(one.client_id)
  if client then
    client:notify("textDocument/didShowCompletion", { item = one.item })
  end
end

--- Bring what is on the screen in line with the buffer.
---@return boolean whether something is shown
local function draw()
  local one, left = current()
  if not one or not left then
    hide()
    return false
  end
  local n = #shown.candidates
  ghost.draw(shown.bufnr, left, n > 1 and (" (%d/%d)"):format(shown.index, n) or nil)
  tell_shown(one)
  announce("Shown", M.visible())
  return true
end

--- Return the suggestions of an answer that fit the place that it was asked for.
---@param answer table
---@param at crosslight.Place
---@param client vim.lsp.Client
---@return crosslight.Suggestion[]
local function read(answer, at, client)
  local line = vim.api.nvim_buf_get_lines(at.bufnr, at.row, at.row + 1, true)[1]
  local earlier, candidates = {}, {}
  for _, one in ipairs(shown and shown.candidates or {}) do
    earlier[one.id] = one
  end
  for _, item in ipairs(answer.items or answer) do
    local one = suggestion.read(item, client.id, client.offset_encoding, at.row, at.col, line)
    if one then
      table.insert(candidates, earlier[one.id] and suggestion.continue(one, earlier[one.id]) or one)
    end
  end
  return candidates
end

---@param candidates crosslight.Suggestion[]
---@param at crosslight.Place
---@param is_invoked boolean
local function show(candidates, at, is_invoked)
  if #candidates == 0 then
    return hide()
  end
  local _, left = current()
  if left and shown.candidates[shown.index].id == candidates[1].id and left.text == candidates[1].text then
    return -- it stands there
  end
  shown = { bufnr = at.bufnr, candidates = candidates, index = 1, is_invoked = is_invoked }
  draw()
end

local function tell_why_not()
  server.run("status", nil, function(answer)
    local why = status.explanation((answer or {}).last)
    status.say(3, "Crosslight: no suggestion" .. (why and ": " .. why or ""))
  end)
end

---@param kind integer
local function ask(kind)
  local is_invoked = kind == request.INVOKED
  local is_asked = request.ask(kind, function(answer, at, client)
    if not is_inserting() or not M.may_show(is_invoked) then
      return
    end
    local candidates = read(answer, at, client)
    show(candidates, at, is_invoked)
    if is_invoked and #candidates == 0 then
      tell_why_not()
    end
  end)
  if not is_asked then
    hide()
  end
end

--- Return whether something may be shown in the current buffer.
---@param is_invoked? boolean by hand
---@return boolean
function M.may_show(is_invoked)
  if is_invoked then
    return true
  end
  if not M.is_enabled(vim.api.nvim_get_current_buf()) or vim.fn.reg_executing() ~= "" then
    return false
  end
  return config.current.over_popup_menu or not menu.is_open()
end

--- Follow a change of the text, the cursor or the menu.
---@param is_forced? boolean whether nothing needs to have changed
function M.refresh(is_forced)
  if not server.client() then
    return
  end
  if is_inserting() and request.is_invoked() then
    return -- whatever the server says of itself meanwhile
  end
  if not is_inserting() or not M.may_show(shown and shown.is_invoked) then
    return M.clear()
  end
  if not is_forced and request.was_asked() then
    return
  end
  if shown then
    draw()
  end
  if M.may_show() then
    ask(request.AUTOMATIC)
  end
end

--- Show nothing, and want nothing.
function M.clear()
  request.forget()
  hide()
end

--- Ask by hand.
function M.trigger()
  local why_not = server.why_not_served(vim.api.nvim_get_current_buf())
  if not is_inserting() then
    why_not = "suggestions are for insert mode"
  end
  if why_not then
    return status.say(3, "Crosslight: no suggestion: " .. why_not)
  end
  ask(request.INVOKED)
end

--- Return what is shown at the cursor.
---@return crosslight.Visible?
function M.visible()
  local one, left = current()
  if not one or not left then
    return nil
  end
  ---@class crosslight.Visible
  return {
    id = one.id,
    text = left.text,
    bufnr = shown.bufnr,
    row = left.row,
    col = left.col,
    index = shown.index,
    count = #shown.candidates,
  }
end

--- Show another suggestion, where there are several.
---@param step integer
---@return boolean whether something is shown
function M.select(step)
  if not M.visible() then
    return false
  end
  shown.index = (shown.index - 1 + step) % #shown.candidates + 1
  return draw()
end

--- Hide the suggestion until something changes.
---@return boolean whether one was shown
function M.dismiss()
  if not M.visible() then
    return false
  end
  request.cancel()
  hide()
  return true
end

---@param at crosslight.Left
---@param part string
---@param n_replaced integer
local function insert(at, part, n_replaced)
  local lines = vim.split(part, "\n", { plain = true })
  vim.api.nvim_buf_set_text(0, at.row, at.col, at.row, at.col + n_replaced, lines)
  local col = #lines[#lines] + (#lines == 1 and at.col or 0)
  vim.api.nvim_win_set_cursor(0, { at.row + #lines, col })
end

---@param one crosslight.Suggestion
---@param left crosslight.Left
---@param part string
local function take_part(one, left, part)
  local n_replaced = suggestion.n_replaced_by(left, part)
  insert(left, part, n_replaced)
  if n_replaced > 0 and not part:find("\n", 1, true) then
    shown.candidates[shown.index] =
      suggestion.after_part(one, left, part, n_replaced, vim.api.nvim_get_current_line())
  end
  local client = vim.lsp.get_client_by_id(one.client_id)
  if client then
    local n_accepted = suggestion.n_accepted(one, left.typed .. part)
    client:notify(
      "textDocument/didPartiallyAcceptCompletion",
      { item = one.item, acceptedLength = n_accepted }
    )
  end
  draw()
end

---@param one crosslight.Suggestion
---@param left crosslight.Left
local function take_all(one, left)
  M.clear()
  insert(left, left.text, left.replaced)
  local client = vim.lsp.get_client_by_id(one.client_id)
  if client and one.command then
    client:exec_cmd(one.command, { bufnr = vim.api.nvim_get_current_buf() })
  end
end

---@alias crosslight.Amount "all"|"word"|"line"

--- Insert what is shown, or its beginning, where the cursor is.
---@param amount crosslight.Amount
function M.take(amount)
  local one, left = current()
  if not one or not left then
    return
  end
  local part = amount == "all" and left.text or suggestion[amount](left.text)
  if part == left.text then
    take_all(one, left)
  else
    take_part(one, left, part)
  end
  announce("Accepted", { kind = amount, text = part })
end

--- Have the suggestion inserted, as an undo step of its own.
---@param amount crosslight.Amount
---@return boolean whether something is shown
function M.accept(amount)
  if not M.visible() then
    return false
  end
  -- Only as keys can it be told apart from what was typed before and after, and be called from <expr> maps.
  local keys = ("<C-g>u<Cmd>lua require('crosslight.inline').take('%s')<CR><C-g>u"):format(amount)
  vim.api.nvim_feedkeys(vim.keycode(keys), "ni", false)
  return true
end

--- Return whether suggestions come while typing.
---@param bufnr? integer nil: wherever a buffer does not say otherwise
---@return boolean
function M.is_enabled(bufnr)
  if bufnr and vim.b[bufnr].crosslight_enabled ~= nil then
    return vim.b[bufnr].crosslight_enabled ~= false and vim.b[bufnr].crosslight_enabled ~= 0
  end
  return config.current.enabled
end

--- Follow the editor's events.
---@param group integer of the autocommands
function M.listen(group)
  vim.api.nvim_create_autocmd({ "CursorMovedI", "TextChangedI", "TextChangedP" }, {
    group = group,
    callback = function()
      M.refresh()
    end,
  })
  -- InsertEnter comes before the mode, and <C-c> leaves it without InsertLeave
  vim.api.nvim_create_autocmd("ModeChanged", {
    group = group,
    pattern = { "*:i*", "i*:*" },
    callback = function()
      if vim.v.event.new_mode:sub(1, 1) == "i" then
        M.refresh()
      else
        M.clear()
      end
    end,
  })
  vim.api.nvim_create_autocmd({ "WinLeave", "BufLeave" }, { group = group, callback = M.clear })
  menu.listen(group, function()
    if not config.current.over_popup_menu then
      M.clear()
    end
  end, function()
    M.refresh(true)
  end)
end

return M
