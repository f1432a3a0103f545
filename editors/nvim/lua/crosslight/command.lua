--- `:Crosslight`: its subcommands, and how they are completed.
local crosslight = require("crosslight")

local M = {}

---@class crosslight.Subcommand
---@field run fun(arguments: string[], has_bang: boolean)
---@field arguments? string[]

---@type table<string, crosslight.Subcommand>
local SUBCOMMANDS = {
  status = { run = crosslight.show_status },
  explain = { run = crosslight.explain },
  log = { run = crosslight.open_log },
  trigger = { run = crosslight.trigger },
  resume = { run = crosslight.resume },
  reindex = {
    run = function(_, has_bang)
      crosslight.reindex({ force = has_bang })
    end,
  },
  pause = {
    arguments = { "5", "15", "60" },
    run = function(arguments)
      local minutes = tonumber(arguments[1])
      if arguments[1] and not (minutes and minutes > 0) then
        return vim.notify(("Crosslight: %s are no minutes"):format(arguments[1]), vim.log.levels.ERROR)
      end
      crosslight.pause(minutes)
    end,
  },
  toggle = {
    arguments = { "buffer" },
    run = function(arguments)
      crosslight.toggle({ bufnr = arguments[1] == "buffer" and 0 or nil })
    end,
  },
}

---@return string[]
local function names()
  local all = vim.tbl_keys(SUBCOMMANDS)
  table.sort(all)
  return all
end

--- Run what was typed behind `:Crosslight`.
---@param typed vim.api.keyset.create_user_command.command_args
function M.run(typed)
  local name = typed.fargs[1] or "status"
  local subcommand = SUBCOMMANDS[name]
  if not subcommand then
    return vim.notify(
      ("Crosslight: `%s` is no command; :help crosslight-commands"):format(name),
      vim.log.levels.ERROR
    )
  end
  subcommand.run(vim.list_slice(typed.fargs, 2), typed.bang)
end

--- Return what a word behind `:Crosslight` may become.
---@param word string
---@param line string
---@param n_bytes integer of the line before the cursor
---@return string[]
function M.complete(word, line, n_bytes)
  local is_command, typed = pcall(vim.api.nvim_parse_cmd, line:sub(1, n_bytes), {})
  local words = is_command and typed.args or {}
  local n_before = #words - (word == "" and 0 or 1)
  local choices = {}
  if n_before == 0 then
    choices = names()
  elseif n_before == 1 and SUBCOMMANDS[words[1]] then
    choices = SUBCOMMANDS[words[1]].arguments or {}
  end
  return vim.tbl_filter(function(one)
    return vim.startswith(one, word)
  end, choices)
end

return M
