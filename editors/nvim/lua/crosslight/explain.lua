--- Where the last suggestion came from: the definitions that the model read for it, and how much it attended to
--- each.
local server = require("crosslight.server")
local window = require("crosslight.window")

local M = {}

local BAR_WIDTH = 20
local MOST_LINES_OF_TEXT = 8

---@param share number? 0 to 1
---@return string
local function bar(share)
  local n_full = math.floor((share or 0) * BAR_WIDTH + 0.5)
  return ("█"):rep(n_full) .. ("░"):rep(BAR_WIDTH - n_full)
end

---@param value any
---@return number?
local function number(value)
  return type(value) == "number" and value or nil
end

---@param trace table
---@return table[] definitions those that the model was given, most attended first
local function given(trace)
  local definitions = vim.tbl_filter(function(one)
    return number(one.attention_share) ~= nil or (number(one.n_tokens) or 0) > 0
  end, trace.retrieved)
  table.sort(definitions, function(one, other)
    local share, others = number(one.attention_share) or -1, number(other.attention_share) or -1
    if share ~= others then
      return share > others
    end
    return one.rank < other.rank
  end)
  return definitions
end

---@param one table
---@param name_width integer
---@param root string? that its path counts from
---@return crosslight.Line
local function definition_line(one, name_width, root)
  local share = number(one.attention_share)
  local name = one.qualified_name .. (" "):rep(name_width - vim.fn.strdisplaywidth(one.qualified_name))
  return {
    chunks = {
      { " " .. bar(share), "CrosslightShare" },
      { share and (" %3.0f %%  "):format(share * 100) or "    –  " },
      { name .. "  " },
      { ("%s:%d "):format(one.path, one.line), "CrosslightPlace" },
      { ("(%s) "):format(table.concat(one.reasons, ", ")), "Comment" },
    },
    jump = { path = root and vim.fs.joinpath(root, one.path) or one.path, line = one.line },
  }
end

--- Return a suggestion's lines without the indentation that they share; the first begins at the cursor.
---@param text string
---@param column integer the cursor's, from 1
---@return string[]
local function dedented(text, column)
  local lines = vim.split((" "):rep(column - 1) .. text, "\r?\n")
  local shared = math.huge
  for _, line in ipairs(lines) do
    if line:find("%S") then
      shared = math.min(shared, #line:match("^%s*"))
    end
  end
  return vim.tbl_map(function(line)
    return (line:sub(shared + 1):gsub("\t", "    "))
  end, lines)
end

--- Return what the window shows.
---@param trace table of `crosslight.explainLast`
---@param root? string the repository
---@return crosslight.Line[]
function M.lines(trace, root)
  local request = trace.request
  local lines = {
    { chunks = { { (" %s:%d:%d "):format(request.path, request.line, request.column), "CrosslightPlace" } } },
  }
  local text = trace.text ~= "" and dedented(trace.text, request.column) or { "(nothing)" }
  for index = 1, math.min(#text, MOST_LINES_OF_TEXT) do
    table.insert(lines, { chunks = { { ("   %s "):format(text[index]), "CrosslightSuggestion" } } })
  end
  if #text > MOST_LINES_OF_TEXT then
    table.insert(
      lines,
      { chunks = { { ("   … %d more lines "):format(#text - MOST_LINES_OF_TEXT), "Comment" } } }
    )
  end
  table.insert(lines, { chunks = { { "" } } })
  local definitions = given(trace)
  if #definitions == 0 then
    table.insert(lines, { chunks = { { " No definition of the repository was used. " } } })
  else
    table.insert(
      lines,
      { chunks = { { " Definitions, by their share of the attention; <CR> goes to one ", "Title" } } }
    )
  end
  local name_width = 0
  for _, one in ipairs(definitions) do
    name_width = math.max(name_width, vim.fn.strdisplaywidth(one.qualified_name))
  end
  for _, one in ipairs(definitions) do
    table.insert(lines, definition_line(one, name_width, root))
  end
  for _, note in ipairs(trace.retrieval_notes or {}) do
    table.insert(lines, { chunks = { { (" %s "):format(note), "WarningMsg" } } })
  end
  return lines
end

--- Open a window about the last suggestion.
function M.open()
  local why_not = server.why_not_served(vim.api.nvim_get_current_buf())
  server.run("explainLast", nil, function(trace, client)
    if not trace then
      return vim.notify("Crosslight: there was no suggestion yet", vim.log.levels.INFO)
    end
    local lines = M.lines(trace, client.root_dir)
    if why_not then
      local text = (" This buffer is not served: %s. The last suggestion elsewhere: "):format(why_not)
      table.insert(lines, 1, { chunks = { { text, "WarningMsg" } } })
    end
    local opened = window.open("Last suggestion", "crosslight-explain", lines)
    for row, line in ipairs(lines) do
      if line.jump then
        return vim.api.nvim_win_set_cursor(opened, { row, 0 })
      end
    end
  end)
end

return M
