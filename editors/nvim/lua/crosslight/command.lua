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
    local known = table.concat(names(), ", ")
    return vim.notify(
      ("Crosslight: `%s` is no command; there are %s"):format(name, known),
      vim.log.levels.ERROR
    )
  end
  subcommand.run(vim.list_slice(typed.fargs, 2), typed.bang)
end

--- Return what a word behind `:Crosslight` may become.
---@param word string
---@param line string
---@return string[]
function M.complete(word, line)
  local before = vim.split(vim.trim(line:sub(1, #line - #word)), "%s+")
  local choices = {}
  if #before == 1 then
    choices = names()
  elseif #before == 2 and SUBCOMMANDS[before[2]] then
    choices = SUBCOMMANDS[before[2]].arguments or {}
  end
  return vim.tbl_filter(function(one)
    return vim.startswith(one, word)
  end, choices)
end

return M
