--- Insert mode keys. Each is mapped in buffers that have suggestions, and does what it did before where it has
--- nothing to do here: the buffer's own mapping of it, else the global one of that moment, else the plain key.
local config = require("crosslight.config")
local inline = require("crosslight.inline")

local M = {}

--- Return whether <Tab> is still wanted for its own sake: in leading white space, before a suggestion that begins
--- with at least a level of indentation. One that goes on without can be accepted there, so blocks can.
---@param text string what is shown
---@param before string the line up to the cursor
---@param tabstop integer
---@param shiftwidth integer
---@return boolean
function M.only_indents(text, before, tabstop, shiftwidth)
  if before:find("%S") then
    return false
  end
  local indent = vim.split(text, "\n", { plain = true })[1]:match("^%s*")
  local width = 0
  for character in indent:gmatch(".") do
    width = width + (character == "\t" and tabstop - width % tabstop or 1)
  end
  return width >= shiftwidth
end

---@return boolean
local function accept_or_indent()
  local visible = inline.visible()
  if not visible then
    return false
  end
  local before = vim.api.nvim_get_current_line():sub(1, visible.col)
  if M.only_indents(visible.text, before, vim.bo.tabstop, vim.fn.shiftwidth()) then
    return false
  end
  return inline.accept("all")
end

---@type table<string, { [1]: string, [2]: fun(): boolean? }>
local ACTIONS = {
  accept = {
    "Accept the suggestion",
    function()
      return inline.accept("all")
    end,
  },
  accept_word = {
    "Accept the suggestion's next word",
    function()
      return inline.accept("word")
    end,
  },
  accept_line = {
    "Accept the suggestion's next line",
    function()
      return inline.accept("line")
    end,
  },
  next = {
    "Show the next suggestion",
    function()
      return inline.select(1)
    end,
  },
  previous = {
    "Show the previous suggestion",
    function()
      return inline.select(-1)
    end,
  },
  dismiss = { "Dismiss the suggestion", inline.dismiss },
  trigger = {
    "Ask for a suggestion",
    function()
      vim.schedule(inline.trigger)
      return true
    end,
  },
}

---@param name string
---@return string
local function plug(name)
  return ("<Plug>(crosslight-%s)"):format((name:gsub("_", "-")))
end

--- The end of what a key did before.
local OLD_END = "<Plug>(crosslight-old-end)"

--- Whether a key does now what it did before: a mapping of it that leads to the key itself means the plain one then,
--- as without us (|recursive_mapping|).
local is_old = false

local function end_old()
  is_old = false
  return ""
end

--- Make the `<Plug>` maps; without a suggestion they do nothing.
function M.define()
  for name, action in pairs(ACTIONS) do
    vim.keymap.set("i", plug(name), function()
      action[2]()
      return ""
    end, { expr = true, desc = "Crosslight: " .. action[1] })
  end
  -- in all modes, since a mapping may have left insert mode
  vim.keymap.set({ "", "!", "t" }, OLD_END, end_old, { expr = true })
end

--- Return the map of a key among others.
---@param maps table[] as |nvim_get_keymap()| has them
---@param key string
---@return table? map
local function find(maps, key)
  local raw = vim.keycode(key)
  for _, map in ipairs(maps) do
    if map.lhsraw == raw or map.lhsrawalt == raw then
      return map
    end
  end
  return nil
end

---@param bufnr integer
---@param key string
---@return table? map the buffer's own mapping
local function local_map(bufnr, key)
  return find(vim.api.nvim_buf_get_keymap(bufnr, "i"), key)
end

---@param map table
---@return boolean
local function is_ours(map)
  return vim.startswith(map.desc or "", "Crosslight: ")
end

--- Give a mapping another key.
---@param map table of |maparg()|
---@param key { lhs: string, lhsraw: string, lhsrawalt?: string }
local function map_as(map, key)
  local renamed = vim.tbl_extend("force", map, { lhs = key.lhs, lhsraw = key.lhsraw, mode = "i" })
  renamed.lhsrawalt = key.lhsrawalt
  vim.fn.mapset(renamed)
end

--- Return the key that what an action's key did before is kept under.
---@param name string of the action
---@return { lhs: string, lhsraw: string }
local function old(name)
  local lhs = ("<Plug>(crosslight-old-%s)"):format(name)
  return { lhs = lhs, lhsraw = vim.keycode(lhs) }
end

--- Return the keys that do what a key did before.
---@param key string
---@param name string of the action
---@param own? table the mapping that the buffer had of it
---@return string
local function old_meaning(key, name, own)
  local map = own or find(vim.api.nvim_get_keymap("i"), key)
  if is_old or not map then
    return vim.keycode(key) -- not mapped again, but it still ends an abbreviation
  end
  if not own then
    map_as(map, old(name))
  end
  if map.noremap == 1 then
    return old(name).lhsraw
  end
  is_old = true
  vim.schedule(end_old) -- in case an error takes the rest of the keys away
  return old(name).lhsraw .. vim.keycode(OLD_END)
end

---@param bufnr integer
---@param name string of the action
---@param key string
local function map_key(bufnr, name, key)
  local existing = local_map(bufnr, key)
  if existing and is_ours(existing) then
    return
  end
  if existing then
    vim.api.nvim_buf_call(bufnr, function()
      map_as(existing, old(name))
    end)
  end
  local action = name == "accept" and key:lower() == "<tab>" and accept_or_indent or ACTIONS[name][2]
  vim.keymap.set("i", key, function()
    return not is_old and action() and "" or old_meaning(key, name, existing)
  end, {
    buffer = bufnr,
    expr = true,
    remap = true,
    replace_keycodes = false,
    desc = "Crosslight: " .. ACTIONS[name][1],
  })
end

--- Have the key that asks by hand say why nothing can come in buffers that are not served, too: to terminals, one with
--- <M-> is <Esc> and another key. What else has mapped it keeps it.
function M.map_trigger()
  for _, map in ipairs(vim.api.nvim_get_keymap("i")) do
    if is_ours(map) and not vim.startswith(map.lhs, "<Plug>") then
      vim.keymap.del("i", map.lhs) -- of former settings
    end
  end
  local key = (config.current.keys or {}).trigger
  if key and not find(vim.api.nvim_get_keymap("i"), key) then
    local action = ACTIONS.trigger
    vim.keymap.set("i", key, action[2], { desc = "Crosslight: " .. action[1] })
  end
end

--- Map the keys in a buffer, also those that something else has mapped since.
---@param bufnr integer
function M.map(bufnr)
  local keys = config.current.keys or {}
  vim.b[bufnr].crosslight_keys = keys
  for name, key in pairs(keys) do
    if key then
      map_key(bufnr, name, key)
    end
  end
end

--- Give a buffer's keys back.
---@param bufnr integer
function M.unmap(bufnr)
  for name, key in pairs(vim.b[bufnr].crosslight_keys or {}) do
    local map = key and local_map(bufnr, key)
    if map and is_ours(map) then
      vim.keymap.del("i", key, { buffer = bufnr })
      local before = local_map(bufnr, old(name).lhs)
      if before then
        vim.api.nvim_buf_call(bufnr, function()
          map_as(before, map)
          vim.keymap.del("i", before.lhs, { buffer = bufnr })
        end)
      end
    end
  end
  vim.b[bufnr].crosslight_keys = nil
end

return M
