--- One request at a time: what is asked at the cursor, and whether the answer still belongs there.
local server = require("crosslight.server")

local M = {}

local METHOD = "textDocument/inlineCompletion"

--- As in the protocol's InlineCompletionTriggerKind.
M.INVOKED, M.AUTOMATIC = 1, 2

---@class crosslight.Place
---@field bufnr integer
---@field tick integer
---@field row integer
---@field col integer

---@type { client_id: integer, id: integer, kind: integer }?
local pending
---@type crosslight.Place? where it was asked last
local asked_at

--- Return the cursor's place, and the state of its text.
---@return crosslight.Place
function M.here()
  local bufnr = vim.api.nvim_get_current_buf()
  local cursor = vim.api.nvim_win_get_cursor(0)
  return {
    bufnr = bufnr,
    tick = vim.api.nvim_buf_get_changedtick(bufnr),
    row = cursor[1] - 1,
    col = cursor[2],
  }
end

--- Return whether this very place was asked about last.
---@return boolean
function M.was_asked()
  return asked_at ~= nil and vim.deep_equal(asked_at, M.here())
end

--- Return whether an answer about this very place is awaited that was asked for by hand.
---@return boolean
function M.is_invoked()
  return pending ~= nil and pending.kind == M.INVOKED and M.was_asked()
end

--- Want no answer any more.
function M.cancel()
  if pending then
    local client = vim.lsp.get_client_by_id(pending.client_id)
    if client then
      client:cancel_request(pending.id)
    end
    pending = nil
  end
end

--- Have the next change ask, even if it leads back to the same place.
function M.forget()
  M.cancel()
  asked_at = nil
end

--- Ask at the cursor, in place of what was asked before.
---@param kind integer
---@param on_answer fun(answer: table, at: crosslight.Place, client: vim.lsp.Client) not called where the answer
---       came too late, or nothing was found out
---@return boolean whether there is somebody to ask
function M.ask(kind, on_answer)
  M.cancel()
  local at, client = M.here(), server.client()
  if not client then
    return false
  end
  asked_at = at
  local line = vim.api.nvim_get_current_line()
  local params = {
    textDocument = { uri = vim.uri_from_bufnr(at.bufnr) },
    position = { line = at.row, character = vim.str_utfindex(line, client.offset_encoding, at.col, false) },
    context = { triggerKind = kind },
  }
  local request
  local is_sent, id = client:request(METHOD, params, function(failure, answer)
    if not request or pending ~= request then
      return
    end
    pending = nil
    if not failure and type(answer) == "table" and vim.deep_equal(M.here(), at) then
      on_answer(answer, at, client)
    end
  end, at.bufnr)
  if is_sent and id then
    request = { client_id = client.id, id = id, kind = kind }
    pending = request
  end
  return true
end

return M
