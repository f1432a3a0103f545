--- `:checkhealth crosslight`: each line is fine or comes with its cure.
local config = require("crosslight.config")
local server = require("crosslight.server")
local status = require("crosslight.status")

local M = {}

local health = vim.health
local PATIENCE_MS = 5000

---@return string[]? command
local function check_program()
  local command = server.command()
  if not command then
    health.error(("the program `%s` was not found"):format(config.current.cmd[1]), {
      "install it, in a clone of its repository: `pipx install .`, or `uv tool install .`",
      'or say where it is: `require("crosslight").setup({ cmd = { "/path/to/crosslight", "serve" } })`',
    })
    return nil
  end
  health.ok(("the server's program is `%s`"):format(vim.fn.exepath(command[1])))
  return command
end

--- What `crosslight doctor` says; only of the program itself, since a command that runs over SSH or in a container
--- has no `doctor` to be found from here.
---@param program string
local function check_installation(program)
  if vim.fs.basename(program) ~= "crosslight" then
    return
  end
  local is_started, process = pcall(
    vim.system,
    { program, "doctor" },
    { text = true, env = config.current.cmd_env }
  )
  local result = is_started and process:wait(4 * PATIENCE_MS) or nil
  if not result then
    return health.error(("`%s doctor` does not run"):format(program), { "install Crosslight anew" })
  end
  local lines = vim.split(vim.trim(result.stdout .. result.stderr), "\n")
  if result.code == 0 then
    health.ok("`crosslight doctor` finds nothing wrong")
  else
    health.error("`crosslight doctor` found something wrong:\n" .. table.concat(lines, "\n"))
  end
end

local function check_buffers()
  for _, bufnr in ipairs(vim.api.nvim_list_bufs()) do
    local name = vim.api.nvim_buf_get_name(bufnr)
    local is_wanted = vim.bo[bufnr].buflisted and vim.api.nvim_buf_is_loaded(bufnr)
    if is_wanted and (name ~= "" or vim.bo[bufnr].modified) and vim.bo[bufnr].buftype == "" then
      local why_not = server.why_not_served(bufnr)
      local title = name ~= "" and vim.fn.fnamemodify(name, ":~:.") or "[No Name]"
      if why_not then
        health.info(("%s is not served: %s"):format(title, why_not))
      end
    end
  end
end

local function check_clients()
  local clients = vim.lsp.get_clients({ name = server.NAME })
  if #clients == 0 then
    return health.info("it serves no buffer yet: open a file")
  end
  for _, client in ipairs(clients) do
    local where = client.root_dir and vim.fn.fnamemodify(client.root_dir, ":~")
      or "files outside of a repository"
    local n = vim.tbl_count(client.attached_buffers)
    health.ok(("it serves %d buffer%s of %s"):format(n, n == 1 and "" or "s", where))
    local reply =
      client:request_sync("workspace/executeCommand", { command = "crosslight.status" }, PATIENCE_MS)
    if reply and reply.result then
      health.info(table.concat(status.describe(reply.result), "\n"))
    else
      health.warn("it does not answer", { "`crosslight engine stop`, then type on", "`:Crosslight log`" })
    end
  end
end

--- Who else may draw suggestions, by a module or a function that is there once they are loaded.
local OTHERS = {
  ["copilot.vim"] = function()
    return vim.g.loaded_copilot == 1
  end,
  ["copilot.lua"] = function()
    return package.loaded["copilot.suggestion"] ~= nil
  end,
  ["codeium.vim"] = function()
    return vim.g.loaded_codeium == 1
  end,
  supermaven = function()
    return package.loaded["supermaven-nvim"] ~= nil
  end,
  ["minuet-ai"] = function()
    return package.loaded["minuet"] ~= nil
  end,
  ["llama.vim"] = function()
    return vim.g.llama_config ~= nil
  end,
}

local function check_others()
  for name, is_loaded in vim.spairs(OTHERS) do
    if is_loaded() then
      health.warn(("%s draws suggestions, too"):format(name), { "switch one of them off" })
    end
  end
end

function M.check()
  health.start("Crosslight")
  if vim.fn.has("nvim-0.11") == 0 then
    return health.error("Neovim is older than 0.11", { "install Neovim 0.11 or later" })
  end
  health.ok("Neovim is new enough")
  if not vim.g.crosslight_did_setup then
    health.error("`setup()` was not called", { 'put `require("crosslight").setup()` into your init.lua' })
  end
  if vim.lsp.config[server.NAME] == nil then
    health.error(
      "`lsp/crosslight.lua` is not on the 'runtimepath'",
      { "install the whole folder of the plugin" }
    )
  end
  local command = check_program()
  if command then
    check_installation(vim.fn.exepath(command[1]))
  end
  check_clients()
  check_buffers()
  check_others()
end

return M
