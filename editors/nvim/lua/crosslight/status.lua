--- What the server says of itself: its status, for a status line, and the last lines of its log.
local config = require("crosslight.config")

local M = {}

local NAME = "crosslight"
local MOST_LINES = 1000
local LEVELS = { "error", "warning", "info", "debug" }

---@class crosslight.ServerStatus
---@field kind "Normal"|"Warning"|"Error"|"Inactive"
---@field busy boolean
---@field message string

---@type table<integer, crosslight.ServerStatus> by client
local told = {}
---@type string[]
local log = {}

---@class crosslight.Status
---@field state "absent"|"starting"|"ready"|"busy"|"warning"|"error"|"paused"|"off"
---@field message string
---@field busy boolean

local STATES = { Warning = "warning", Error = "error", Inactive = "paused" }

--- Return the status in a buffer.
---@param bufnr? integer the current one
---@return crosslight.Status
function M.get(bufnr)
  bufnr = bufnr or vim.api.nvim_get_current_buf()
  local client = vim.lsp.get_clients({ name = NAME, bufnr = bufnr })[1]
  if not client then
    return { state = "absent", message = "", busy = false }
  end
  local status = told[client.id]
  if not status then
    return { state = "starting", message = "starting", busy = true }
  end
  local state = STATES[status.kind] or (status.busy and "busy" or "ready")
  if state ~= "error" and not require("crosslight.inline").is_enabled(bufnr) then
    return { state = "off", message = "off", busy = status.busy }
  end
  return { state = state, message = status.message, busy = status.busy }
end

--- Return the status as a status line shows it.
---@return string text empty where Crosslight is not at work
function M.statusline()
  local status = M.get()
  if status.state == "absent" then
    return ""
  end
  local text = status.message
  if status.state == "error" then
    text = "error" -- the message tells the cure, at length
  elseif text == "" then
    return status.busy and "crosslight …" or "crosslight"
  end
  return ("crosslight: " .. text):gsub("%%", "%%%%") .. ""
end

--- Tell status lines and users' autocommands that something changed.
function M.announce()
  vim.api.nvim_exec_autocmds("User", { pattern = "CrosslightStatus", modeline = false, data = M.get() })
  vim.cmd.redrawstatus({ bang = true })
end

--- Take up `didChangeStatus`.
---@type lsp.Handler
function M.on_change(_, params, context)
  local before = told[context.client_id]
  told[context.client_id] = params
  M.announce()
  if before and before.message ~= "" and params.message == "" then
    require("crosslight.inline").refresh(true) -- nobody types on just because the model is there now
  end
end

---@param kind integer of the protocol's MessageType
---@param message string
local function note(kind, message)
  local time, level = os.date("%H:%M:%S"), LEVELS[kind] or "debug"
  for line in vim.gsplit(message, "\n", { plain = true, trimempty = true }) do
    table.insert(log, ("%s %s: %s"):format(time, level, line))
  end
  while #log > MOST_LINES do
    table.remove(log, 1)
  end
end

--- Take up `window/logMessage`.
---@type lsp.Handler
function M.on_log(failure, params, context, ...)
  note(params.type, params.message)
  return vim.lsp.handlers["window/logMessage"](failure, params, context, ...)
end

local NOTIFY = { vim.log.levels.ERROR, vim.log.levels.WARN, vim.log.levels.INFO }

--- Return a text that fits on a line: its beginning, which tells what is wrong, and its end, which has the cure.
---@param text string
---@param width integer
---@return string
function M.shortened(text, width)
  if vim.fn.strdisplaywidth(text) <= width then
    return text
  end
  text = text:gsub("^Crosslight: ", "")
  local n_characters = vim.fn.strchars(text)
  local gap = " … "
  if vim.fn.strdisplaywidth(text) <= width or width < 20 then
    return vim.fn.strcharpart(text, 0, width)
  end
  local n_last = math.floor((width - vim.fn.strchars(gap)) * 0.45)
  local n_first = width - vim.fn.strchars(gap) - n_last
  return vim.fn.strcharpart(text, 0, n_first) .. gap .. vim.fn.strcharpart(text, n_characters - n_last)
end

--- Say something on one line, so that nobody must press a key to go on; all of it stands in `:Crosslight log`.
---@param kind integer of the protocol's MessageType
---@param message string
function M.say(kind, message)
  note(kind, message)
  local text = message:gsub("%s*\n%s*", " ")
  vim.notify(M.shortened(text, vim.v.echospace), NOTIFY[kind] or vim.log.levels.INFO)
end

--- Take up `window/showMessage`.
---@type lsp.Handler
function M.on_message(_, params)
  M.say(params.type, params.message)
end

--- Forget a client that has ended.
---@param client_id integer
function M.forget(client_id)
  told[client_id] = nil
  M.announce()
end

--- Return what the server logged since Neovim was started, at most the last 1000 lines.
---@return string[]
function M.log()
  return vim.deepcopy(log)
end

local REASONS = { Normal = "ready", Inactive = "inactive" }

--- Return an answer of `crosslight.status` as lines for people.
---@param answer table
---@return string[]
function M.describe(answer)
  local status = type(answer.status) == "table" and answer.status or {}
  local message = status.message ~= "" and status.message or nil
  local lines = {
    ("Crosslight %s: %s"):format(answer.version, message or REASONS[status.kind] or "ready"),
    ("Model: %s%s"):format(
      answer.model.kind,
      answer.model.message ~= "" and ", " .. answer.model.message or ""
    ),
  }
  for _, one in ipairs(answer.repositories or {}) do
    local progress = one.kind == "indexing" and one.total > 0 and (" %d of %d"):format(one.done, one.total)
      or ""
    local text = one.message ~= "" and ", " .. one.message or ""
    table.insert(lines, ("%s: %s%s%s"):format(vim.fn.fnamemodify(one.root, ":~"), one.kind, progress, text))
  end
  local last = answer.last
  if type(last) == "table" then
    local what = type(last.explanation) == "string" and "nothing shown, " .. last.explanation
      or "a suggestion"
    table.insert(lines, ("Last request: %s (%.0f ms)"):format(what, last.latencyMs))
    vim.list_extend(lines, last.retrievalNotes or {})
  end
  if not config.current.enabled then
    table.insert(lines, "Suggestions while typing are off; `:Crosslight toggle` switches them on")
  end
  return lines
end

return M
