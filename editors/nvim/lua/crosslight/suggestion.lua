--- A suggestion, and what is left of it as its text is typed: pure functions of lines of text.
---
--- A suggestion is kept as it was answered and compared with the buffer as it is now, so that going back a
--- character brings it back, too. Rows and columns count from 0, columns in bytes.
local M = {}

---@class crosslight.Suggestion
---@field id string the same for all that is left of one suggestion
---@field client_id integer
---@field item table as the server first answered it
---@field command? lsp.Command run when all of it was accepted
---@field row integer
---@field before string its line, up to it
---@field after string the rest of the line
---@field text string what is inserted; lines end in LF
---@field replaced integer bytes of `after` that the text takes the place of
---@field n_units integer UTF-16 units of the item's text that had been typed when this was answered
---@field has_crlf boolean whether lines of the item's text end in CR LF

---@class crosslight.Left
---@field row integer the cursor's
---@field col integer
---@field text string
---@field replaced integer bytes behind the cursor that the text takes the place of
---@field after string the rest of the line
---@field typed string what of the suggestion stands there already

---@param text string
---@return integer
local function n_newlines(text)
  local _, n = text:gsub("\n", "")
  return n
end

---@param text string
---@param has_crlf boolean
---@return integer
local function n_units(text, has_crlf)
  return vim.str_utfindex(text, "utf-16") + (has_crlf and n_newlines(text) or 0)
end

--- Read an item of an answer.
---@param item table
---@param client_id integer
---@param encoding "utf-8"|"utf-16"|"utf-32"
---@param row integer where the cursor is
---@param col integer
---@param line string its line
---@return crosslight.Suggestion? suggestion nil if it cannot stand at the cursor
function M.read(item, client_id, encoding, row, col, line)
  local text = item.insertText
  if type(text) ~= "string" or text == "" then
    return nil
  end
  local first, last = col, col
  local range = item.range
  if range then
    if range.start.line ~= row or range["end"].line ~= row then
      return nil
    end
    first = vim.str_byteindex(line, encoding, range.start.character, false)
    last = vim.str_byteindex(line, encoding, range["end"].character, false)
  end
  local typed = line:sub(first + 1, col)
  if first > col or last < col or not vim.startswith(text, typed) then
    return nil
  end
  local command = item.command ~= vim.NIL and item.command or nil
  local id = command and command.arguments and command.arguments[1]
  return {
    id = type(id) == "string" and id or text,
    client_id = client_id,
    item = item,
    command = command,
    row = row,
    before = line:sub(1, first),
    after = line:sub(col + 1),
    text = (text:gsub("\r\n", "\n")),
    replaced = last - col,
    n_units = 0,
    has_crlf = text:find("\r\n", 1, true) ~= nil,
  }
end

local CLOSERS = "^[%)%]}>\"'`]+$"

--- Return how many bytes an editor put behind the cursor by itself, nil if the rest of the line is another one.
---@param suggestion crosslight.Suggestion
---@param after string
---@param typed string
---@param text string what is left
---@return integer?
local function n_closed(suggestion, after, typed, text)
  local n = #after - #suggestion.after
  if n < 0 or after:sub(n + 1) ~= suggestion.after then
    return nil
  end
  local closers = after:sub(1, n)
  if
    n == 0 or (typed ~= "" and closers:match(CLOSERS) and vim.split(text, "\n")[1]:find(closers, 1, true))
  then
    return n
  end
  return nil
end

--- Return what is left of a suggestion at a cursor.
---@param suggestion crosslight.Suggestion
---@param lines string[] the buffer's, from the suggestion's row to the cursor's
---@param row integer the cursor's
---@param col integer
---@return crosslight.Left? left nil where something else was typed, or all of it
function M.left(suggestion, lines, row, col)
  local line = lines[#lines]
  if row < suggestion.row or #lines ~= row - suggestion.row + 1 or #line < col then
    return nil
  end
  local upto = vim.list_slice(lines, 1, #lines - 1)
  table.insert(upto, line:sub(1, col))
  local joined, n_before = table.concat(upto, "\n"), #suggestion.before
  if joined:sub(1, n_before) ~= suggestion.before then
    return nil
  end
  local typed = joined:sub(n_before + 1)
  if not vim.startswith(suggestion.text, typed) or #typed == #suggestion.text then
    return nil
  end
  local text, after = suggestion.text:sub(#typed + 1), line:sub(col + 1)
  local closed = n_closed(suggestion, after, typed, text)
  if not closed then
    return nil
  end
  return {
    row = row,
    col = col,
    text = text,
    replaced = suggestion.replaced + closed,
    after = after,
    typed = typed,
  }
end

--- Return how much of the item's text was taken, as the protocol counts it: from its start, in UTF-16 units.
---@param suggestion crosslight.Suggestion
---@param taken string of `suggestion.text`
---@return integer
function M.n_accepted(suggestion, taken)
  return suggestion.n_units + n_units(taken, suggestion.has_crlf)
end

--- Take over what is known of a suggestion that was answered before: its item, and how much of that was typed.
---@param suggestion crosslight.Suggestion
---@param earlier crosslight.Suggestion with the same id
---@return crosslight.Suggestion
function M.continue(suggestion, earlier)
  local all = M.n_accepted(earlier, earlier.text)
  local n_typed = all - n_units(suggestion.text, suggestion.has_crlf)
  return vim.tbl_extend("force", suggestion, { item = earlier.item, n_units = math.max(0, n_typed) })
end

--- Return the suggestion as what is left of it after a part that also took the place of text was accepted.
---@param suggestion crosslight.Suggestion
---@param left crosslight.Left
---@param part string of `left.text`, on one line
---@param n_replaced integer bytes
---@param line string the cursor's, after that
---@return crosslight.Suggestion
function M.after_part(suggestion, left, part, n_replaced, line)
  return vim.tbl_extend("force", suggestion, {
    row = left.row,
    before = line:sub(1, left.col + #part),
    after = line:sub(left.col + #part + 1),
    text = left.text:sub(#part + 1),
    replaced = left.replaced - n_replaced,
    n_units = M.n_accepted(suggestion, left.typed .. part),
  })
end

--- Return the next word of a text, with the space and the line breaks before it.
---@param text string
---@return string
function M.word(text)
  local word = vim.fn.matchstr(text, [=[^\_s*\%(\k\+\|[^[:keyword:][:space:]]\+\)]=])
  return word ~= "" and word or text
end

--- Return the next line of a text, with the line breaks before it.
---@param text string
---@return string
function M.line(text)
  return text:match("^\n*[^\n]+") or text
end

---@class crosslight.Part
---@field offset integer bytes behind the cursor
---@field text string

--- Return where the text goes between what it takes the place of, so that this can stay where it is on the
--- screen: `f(` + `x)` over `)` is an `x` before the bracket.
---@param text string its first line
---@param replaced string
---@return crosslight.Part[]? parts nil if the text does not hold all that it replaces, in order
function M.parts(text, replaced)
  local parts, stop = {}, #text
  for offset = #replaced, 1, -1 do
    local at = stop
    while at > 0 and text:byte(at) ~= replaced:byte(offset) do
      at = at - 1
    end
    if at == 0 then
      return nil
    end
    table.insert(parts, 1, { offset = offset, text = text:sub(at + 1, stop) })
    stop = at - 1
  end
  table.insert(parts, 1, { offset = 0, text = text:sub(1, stop) })
  return parts
end

--- Return how many bytes behind the cursor the start of a suggestion takes the place of.
---@param left crosslight.Left
---@param part string of `left.text`
---@return integer
function M.n_replaced_by(left, part)
  if #part == #left.text then
    return left.replaced
  end
  local parts = M.parts(vim.split(left.text, "\n")[1], left.after:sub(1, left.replaced))
  if not parts or left.replaced == 0 then
    return 0
  end
  local n_bytes, n_replaced = #parts[1].text, 0
  for index = 2, #parts do
    if n_bytes >= #part then
      break
    end
    n_bytes, n_replaced = n_bytes + 1 + #parts[index].text, n_replaced + 1
  end
  return n_replaced
end

return M
