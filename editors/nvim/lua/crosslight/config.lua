--- The plugin's settings. The table of defaults is the reference; what is wrong in a user's table is said by
--- name, and costs nothing: the default holds.
local M = {}

---@class crosslight.Keys
---@field accept string|false the whole suggestion
---@field accept_word string|false its next word
---@field accept_line string|false its next line
---@field next string|false the next one, where there are several
---@field previous string|false
---@field dismiss string|false
---@field trigger string|false asks by hand, also where nothing comes by itself

---@class crosslight.Config
M.defaults = {
  --- How the server is started.
  ---@type string[]
  cmd = { "crosslight", "serve" },

  --- Its environment, beside Neovim's own.
  ---@type table<string, string>
  cmd_env = {},

  --- What the server shows; |crosslight-server-settings|.
  ---@type table<string, any>
  settings = {},

  --- What a repository's folder holds. The first list that is found anywhere above the file decides, so that
  --- a package inside of a repository is not taken for the repository.
  ---@type string[][]
  root_markers = {
    { ".git", ".jj", ".hg", ".svn" },
    {
      "pyproject.toml",
      "package.json",
      "Cargo.toml",
      "go.mod",
      "pom.xml",
      "build.gradle",
      "build.gradle.kts",
      "composer.json",
      "Gemfile",
      "CMakeLists.txt",
      "Makefile",
    },
  },

  --- Whether a buffer may be given to the server at all; nil: all files may.
  ---@type nil|fun(bufnr: integer): boolean
  should_attach = nil,

  --- Larger files are left alone.
  ---@type integer
  max_bytes = 1000000,

  --- Whether suggestions come while typing; |:Crosslight-toggle| changes it.
  ---@type boolean
  enabled = true,

  --- Whether they also come while a completion menu is open.
  ---@type boolean
  over_popup_menu = false,

  --- Insert mode keys in buffers that have suggestions, false for none. A key does what it did before where
  --- nothing is shown.
  ---@type crosslight.Keys|false
  keys = {
    accept = "<Tab>",
    accept_word = "<M-Right>",
    accept_line = "<M-C-Right>",
    next = "<M-]>",
    previous = "<M-[>",
    dismiss = "<C-]>",
    trigger = "<M-\\>",
  },
}

---@param value any
---@return boolean
local function is_text_list(value)
  return vim.islist(value) and vim.iter(value):all(function(one)
    return type(one) == "string"
  end)
end

--- What a value must be, and a test of it.
---@type table<string, { [1]: string, [2]: fun(value: any): boolean }>
local RULES = {
  cmd = {
    "a list of texts",
    function(value)
      return is_text_list(value) and #value > 0
    end,
  },
  cmd_env = {
    "a table",
    function(value)
      return type(value) == "table"
    end,
  },
  settings = {
    "a table",
    function(value)
      return type(value) == "table"
    end,
  },
  root_markers = {
    "a list of lists of texts",
    function(value)
      return vim.islist(value) and vim.iter(value):all(is_text_list)
    end,
  },
  should_attach = {
    "a function",
    function(value)
      return type(value) == "function"
    end,
  },
  max_bytes = {
    "a number that is not negative",
    function(value)
      return type(value) == "number" and value >= 0
    end,
  },
  enabled = {
    "true or false",
    function(value)
      return type(value) == "boolean"
    end,
  },
  over_popup_menu = {
    "true or false",
    function(value)
      return type(value) == "boolean"
    end,
  },
  keys = {
    "a table or false",
    function(value)
      return type(value) == "table" or value == false
    end,
  },
}

---@param keys table<string, any>
---@param problems string[]
---@return crosslight.Keys
local function read_keys(keys, problems)
  local read = vim.deepcopy(M.defaults.keys) --[[@as table]]
  for name, key in pairs(keys) do
    if read[name] == nil then
      table.insert(problems, ("keys.%s is no setting"):format(name))
    elseif key ~= false and (type(key) ~= "string" or key == "") then
      table.insert(problems, ("keys.%s must be a key or false"):format(name))
    else
      read[name] = key
    end
  end
  return read
end

--- Return a user's settings with the defaults for what they leave out, and what is wrong with them.
---@param given? table
---@return crosslight.Config settings
---@return string[] problems each a sentence, in the order of the names
function M.read(given)
  local settings, problems = vim.deepcopy(M.defaults), {}
  if given ~= nil and type(given) ~= "table" then
    return settings, { "setup() takes a table" }
  end
  for name, value in pairs(given or {}) do
    local rule = RULES[name]
    if rule == nil then
      table.insert(problems, ("%s is no setting"):format(name))
    elseif not rule[2](value) then
      table.insert(problems, ("%s must be %s"):format(name, rule[1]))
    elseif name == "keys" and value then
      settings.keys = read_keys(value, problems)
    else
      settings[name] = value
    end
  end
  table.sort(problems)
  return settings, problems
end

--- In force; |crosslight.setup()| replaces it.
---@type crosslight.Config
M.current = vim.deepcopy(M.defaults)

return M
