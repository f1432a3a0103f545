--- What the server says of itself: its status, for a status line, and the last lines of its log.
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

--- Return a text's last words, a command in backticks in one piece.
---@param text string
---@param width integer at most
---@return string
local function last_words(text, width)
  local words = vim.split(text, " ", { plain = true })
  local last, best = "", nil
  for index = #words, 1, -1 do
    last = last == "" and words[index] or words[index] .. " " .. last
    if vim.fn.strdisplaywidth(last) > width then
      break
    end
    local _, n_backticks = last:gsub("`", "")
    best = n_backticks % 2 == 0 and last or best
  end
  return best or vim.fn.strcharpart(text, vim.fn.strchars(text) - width)
end

--- Return a text that fits on a line: its beginning, which tells what is wrong, and its end, which has the cure.
---@param text string
---@param width integer
---@return string
function M.shortened(text, width)
  if vim.fn.strdisplaywidth(text) <= width then
    return text
  end
  text = text:gsub("^Crosslight: ", "")
  local gap = " … "
  if vim.fn.strdisplaywidth(text) <= width or width < 20 then
    return vim.fn.strcharpart(text, 0, width)
  end
  local room = width - vim.fn.strchars(gap)
  local last = last_words(text, math.floor(room * 0.6))
  local first = vim.fn.strcharpart(text, 0, room - vim.fn.strdisplaywidth(last) + 1)
  return (first:match("^(.*%S)%s+%S*$") or vim.fn.strcharpart(first, 0, vim.fn.strchars(first) - 1)) .. gap .. last
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

--- Explanations that name a command, as it is called here.
local OURS = {
  paused = "suggestions are paused; `:Crosslight resume` ends that",
  model_cancelled = "loading the model was cancelled; `:Crosslight resume`, or asking by hand, loads it",
}

--- Return why a request showed nothing.
---@param last any of `crosslight.status`
---@return string? explanation nil if it showed something
function M.explanation(last)
  local why = type(last) == "table" and (OURS[last.reason] or last.explanation)
  return type(why) == "string" and why or nil
end

--- Return what keeps suggestions from a buffer, whatever the server says of itself.
---@param bufnr? integer nil: from all that do not say otherwise
---@return string[]
local function hindrances(bufnr)
  local lines = {}
  local why_not = bufnr and require("crosslight.server").why_not_served(bufnr)
  if why_not then
    table.insert(lines, "This buffer is not served: " .. why_not)
  elseif not require("crosslight.inline").is_enabled(bufnr) then
    local is_own = bufnr and vim.b[bufnr].crosslight_enabled ~= nil
    local scope = is_own and { " in this buffer", " buffer" } or { "", "" }
    local text = "Suggestions while typing are off%s; `:Crosslight toggle%s` switches them on"
    table.insert(lines, text:format(unpack(scope)))
  end
  return lines
end

---@param last table of `crosslight.status`
---@param bufnr? integer that is asked about
---@return string
local function last_request(last, bufnr)
  local why = M.explanation(last)
  local what = why and "nothing shown, " .. why or "a suggestion"
  local elsewhere = ""
  if bufnr and type(last.uri) == "string" and last.uri ~= vim.uri_from_bufnr(bufnr) then
    elsewhere = ", in " .. vim.fn.fnamemodify(vim.uri_to_fname(last.uri), ":~:.")
  end
  return ("Last request%s: %s (%.0f ms)"):format(elsewhere, what, last.latencyMs)
end

--- Return an answer of `crosslight.status` as lines for people.
---@param answer table
---@param bufnr? integer that it is asked about
---@return string[]
function M.describe(answer, bufnr)
  bufnr = bufnr and vim.api.nvim_buf_is_valid(bufnr) and bufnr or nil
  local status = type(answer.status) == "table" and answer.status or {}
  local message = status.message ~= "" and status.message or nil
  local lines = {
    ("Crosslight %s: %s"):format(answer.version, message or REASONS[status.kind] or "ready"),
    ("Model: %s%s"):format(
      answer.model.kind,
      (answer.model.message ~= "" and answer.model.message ~= message) and ", " .. answer.model.message or ""
    ),
  }
  vim.list_extend(lines, hindrances(bufnr))
  if answer.paused == true then
    table.insert(lines, "Suggestions while typing are paused; `:Crosslight resume` ends that")
  end
  for _, one in ipairs(answer.repositories or {}) do
    local progress = one.kind == "indexing" and one.total > 0 and (" %d of %d"):format(one.done, one.total)
      or ""
    local text = one.message ~= "" and ", " .. one.message or ""
    table.insert(lines, ("%s: %s%s%s"):format(vim.fn.fnamemodify(one.root, ":~"), one.kind, progress, text))
  end
  local last = answer.last
  if type(last) == "table" then
    local is_said = last.explanation ~= nil and last.explanation == message -- a cause is said once
    local shortened = is_said and vim.tbl_extend("force", last, { explanation = "as said above" }) or last
    table.insert(lines, last_request(shortened, bufnr))
    vim.list_extend(lines, last.retrievalNotes or {})
  end
  return lines
end

return M
