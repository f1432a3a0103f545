--- The language server as Neovim's client: how it is found and started, for which buffers, and asked.
--- Knows nothing of what is drawn.
local config = require("crosslight.config")
local status = require("crosslight.status")

local M = {}

--- Of the client, in |vim.lsp.config()| and everywhere else.
M.NAME = "crosslight"

--- Where installers of Python programs put commands that a graphical Neovim's PATH may lack.
local BEYOND_PATH = {
  "~/.local/bin",
  "~/.local/share/uv/tools/crosslight/bin",
  "~/.local/share/pipx/venvs/crosslight/bin",
  "~/.local/pipx/venvs/crosslight/bin",
}

--- Return the server's command line with a program that exists.
---@return string[]? command nil where there is none
function M.command()
  local command = vim.deepcopy(config.current.cmd)
  if vim.fn.executable(command[1]) == 1 then
    return command
  end
  if command[1] == config.defaults.cmd[1] then
    for _, folder in ipairs(BEYOND_PATH) do
      local program = vim.fs.joinpath(vim.fs.normalize(folder), command[1])
      if vim.fn.executable(program) == 1 then
        command[1] = program
        return command
      end
    end
  end
  return nil
end

--- Return what users are told where there is no server.
---@return string
function M.not_found_message()
  return ("Crosslight: no program `%s`; see :checkhealth crosslight"):format(config.current.cmd[1])
end

--- Return a buffer's repository.
---@param bufnr integer
---@return string? folder nil where there is none, or only one that would take in all of the user's files
function M.root(bufnr)
  local too_wide = { [vim.fs.normalize("~")] = true, ["/"] = true }
  for _, markers in ipairs(config.current.root_markers) do
    local root = vim.fs.root(bufnr, markers)
    if root and not too_wide[vim.fs.normalize(root)] then
      return root
    end
  end
  return nil
end

--- Return why a buffer is not given to the server.
---@param bufnr integer
---@return string? reason nil where it is
function M.why_not(bufnr)
  if vim.bo[bufnr].buftype ~= "" then
    return "it is no file"
  end
  if vim.bo[bufnr].binary then
    return "it is binary"
  end
  local name = vim.api.nvim_buf_get_name(bufnr)
  if name == "" and vim.bo[bufnr].filetype == "" then
    return "it has neither a name nor a file type"
  end
  if name:match("^%a[%w+.-]+://") then
    return "it is no file of this machine"
  end
  local n_bytes = vim.api.nvim_buf_get_offset(bufnr, vim.api.nvim_buf_line_count(bufnr))
  if n_bytes > config.current.max_bytes then
    return "it is larger than `max_bytes`"
  end
  local should_attach = config.current.should_attach
  if should_attach and not should_attach(bufnr) then
    return "`should_attach` says so"
  end
  return nil
end

--- Return why a buffer has no server.
---@param bufnr integer
---@return string? reason nil where it has one
function M.why_not_served(bufnr)
  if M.client(bufnr) then
    return nil
  end
  return M.why_not(bufnr) or "the server does not run"
end

---@param bufnr integer
---@param on_dir fun(root?: string)
local function root_dir(bufnr, on_dir)
  if M.why_not(bufnr) then
    return
  end
  if not M.command() then
    vim.notify_once(M.not_found_message(), vim.log.levels.WARN)
    return
  end
  on_dir(M.root(bufnr))
end

local SIGTERM = 15 -- as Neovim ends servers that take too long, and people those that they do not want
local MOST_CRASHES = 5
local CALM_S = 60
local n_crashes, last_crash_s = 0, 0

--- Start the server anew after a crash, a few times in a row and each time later.
---@param code integer
---@param signal integer
local function after_exit(code, signal)
  local was_meant = code == 0 and (signal == 0 or signal == SIGTERM)
  if was_meant or not vim.lsp.is_enabled(M.NAME) or vim.v.exiting ~= vim.NIL then
    return
  end
  local now_s = vim.uv.now() / 1000
  n_crashes = now_s - last_crash_s < CALM_S and n_crashes + 1 or 1
  last_crash_s = now_s
  local how = signal ~= 0 and ("by signal %d"):format(signal) or ("with exit code %d"):format(code)
  if n_crashes == MOST_CRASHES then
    return status.say(1, ("Crosslight: the server ended %s again and again; :checkhealth crosslight"):format(how))
  end
  status.say(2, ("Crosslight: the server ended %s, and is started anew"):format(how))
  vim.defer_fn(function()
    if vim.lsp.is_enabled(M.NAME) then
      vim.lsp.enable(M.NAME)
    end
  end, 500 * n_crashes)
end

--- Start the server's process. How it ended is not told Neovim, whose message takes several lines and a key press.
---@param dispatchers vim.lsp.rpc.Dispatchers
---@return vim.lsp.rpc.PublicClient
local function start(dispatchers)
  local tell = dispatchers.on_exit
  local ours = vim.tbl_extend("force", dispatchers, {
    on_exit = function(code, signal)
      tell(0, 0)
      vim.schedule(function()
        after_exit(code, signal)
      end)
    end,
  })
  return vim.lsp.rpc.start(M.command() or config.current.cmd, ours, { env = config.current.cmd_env })
end

---@return { crosslight: table }? settings nil where all are the server's defaults
local function wire_settings()
  if vim.tbl_isempty(config.current.settings) then
    return nil
  end
  return { crosslight = config.current.settings }
end

--- Return what |vim.lsp.config()| is told (`lsp/crosslight.lua`).
---@return vim.lsp.Config
function M.lsp_config()
  return {
    cmd = start,
    root_dir = root_dir,
    init_options = wire_settings(),
    settings = wire_settings(),
    capabilities = { textDocument = { inlineCompletion = { dynamicRegistration = false } } },
    on_exit = function(_, _, client_id)
      vim.schedule(function()
        status.forget(client_id)
      end)
    end,
    handlers = {
      ["didChangeStatus"] = status.on_change,
      ["window/logMessage"] = status.on_log,
      ["window/showMessage"] = status.on_message,
    },
  }
end

--- Start the server wherever it belongs, and tell those that run what changed.
function M.enable()
  local settings = wire_settings() or { crosslight = vim.empty_dict() }
  for _, client in ipairs(vim.lsp.get_clients({ name = M.NAME })) do
    -- what it answers the server, and starts it anew with
    client.settings, client.config.settings, client.config.init_options = settings, settings, settings
    client:notify("workspace/didChangeConfiguration", { settings = settings })
  end
  vim.lsp.enable(M.NAME) -- reads `lsp/crosslight.lua` anew, too
end

--- Return the client that serves a buffer.
---@param bufnr? integer the current one
---@return vim.lsp.Client?
function M.client(bufnr)
  return vim.lsp.get_clients({ name = M.NAME, bufnr = bufnr or vim.api.nvim_get_current_buf() })[1]
end

--- Run a command of the server's.
---@param command string without `crosslight.`
---@param arguments? any[]
---@param on_answer? fun(answer: any, client: vim.lsp.Client) not called where there is none
function M.run(command, arguments, on_answer)
  local client = M.client() or vim.lsp.get_clients({ name = M.NAME })[1]
  if not client then
    local why_not = M.why_not(vim.api.nvim_get_current_buf()) or "the server does not run"
    local message = M.command() and "Crosslight: this buffer is not served: " .. why_not
    return vim.notify(message or M.not_found_message(), vim.log.levels.WARN)
  end
  local params = { command = "crosslight." .. command, arguments = arguments }
  client:request("workspace/executeCommand", params, function(failure, answer)
    if failure then
      status.say(1, ("Crosslight: %s"):format(failure.message))
    elseif on_answer then
      on_answer(answer ~= vim.NIL and answer or nil, client)
    end
  end)
end

return M
