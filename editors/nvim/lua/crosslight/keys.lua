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

--- Make the `<Plug>` maps; without a suggestion they do nothing.
function M.define()
  for name, action in pairs(ACTIONS) do
    vim.keymap.set("i", plug(name), function()
      action[2]()
      return ""
    end, { expr = true, desc = "Crosslight: " .. action[1] })
  end
end

---@param map table of |maparg()|
---@param lhs string
---@param is_local boolean
local function map_as(map, lhs, is_local)
  local keys = vim.keycode(lhs)
  local renamed =
    vim.tbl_extend("force", map, { lhs = lhs, lhsraw = keys, buffer = is_local and 1 or 0, mode = "i" })
  renamed.lhsrawalt = nil
  vim.fn.mapset(renamed)
end

--- Return the key's global mapping.
---@param key string
---@return table? map as |maparg()| has it
local function global_map(key)
  local raw = vim.keycode(key)
  for _, map in ipairs(vim.api.nvim_get_keymap("i")) do
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
  local raw = vim.keycode(key)
  for _, map in ipairs(vim.api.nvim_buf_get_keymap(bufnr, "i")) do
    if map.lhsraw == raw or map.lhsrawalt == raw then
      return map
    end
  end
  return nil
end

--- Return the keys that do what a key did before.
---@param key string
---@param name string of the action
---@param has_local boolean whether the buffer had a mapping of it
---@return string
local function old_meaning(key, name, has_local)
  local lhs = ("<Plug>(crosslight-old-%s)"):format(name)
  if has_local then
    return vim.keycode(lhs)
  end
  local map = global_map(key)
  if map then
    map_as(map, lhs, false)
  else
    vim.keymap.set("i", lhs, key, { remap = false })
  end
  return vim.keycode(lhs)
end

--- Map the keys in a buffer.
---@param bufnr integer
function M.map(bufnr)
  local keys = config.current.keys
  if not keys or vim.b[bufnr].crosslight_mapped then
    return
  end
  vim.b[bufnr].crosslight_mapped = true
  for name, key in pairs(keys) do
    if key then
      local action = name == "accept" and key:lower() == "<tab>" and accept_or_indent or ACTIONS[name][2]
      local existing = local_map(bufnr, key)
      if existing then
        vim.api.nvim_buf_call(bufnr, function()
          map_as(existing, ("<Plug>(crosslight-old-%s)"):format(name), true)
        end)
      end
      vim.keymap.set("i", key, function()
        return action() and "" or old_meaning(key, name, existing ~= nil)
      end, {
        buffer = bufnr,
        expr = true,
        remap = true,
        replace_keycodes = false,
        desc = "Crosslight: " .. ACTIONS[name][1],
      })
    end
  end
end

--- Give a buffer's keys back.
---@param bufnr integer
function M.unmap(bufnr)
  if not vim.b[bufnr].crosslight_mapped then
    return
  end
  vim.b[bufnr].crosslight_mapped = nil
  for name, key in pairs(config.current.keys or {}) do
    local map = key and local_map(bufnr, key)
    if map and vim.startswith(map.desc or "", "Crosslight: ") then
      vim.keymap.del("i", key, { buffer = bufnr })
      local old = local_map(bufnr, ("<Plug>(crosslight-old-%s)"):format(name))
      if old then
        vim.api.nvim_buf_call(bufnr, function()
          map_as(old, key, true)
          vim.keymap.del("i", old.lhs, { buffer = bufnr })
        end)
      end
    end
  end
end

return M
