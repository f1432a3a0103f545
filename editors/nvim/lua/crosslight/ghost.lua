--- What a suggestion looks like: its text behind the cursor, further lines below, in a colour of its own.
--- Draws what it is given; knows neither keys nor the server.
local suggestion = require("crosslight.suggestion")

local M = {}

local NAMESPACE = vim.api.nvim_create_namespace("crosslight.suggestion")
local TEXT, HINT = "CrosslightSuggestion", "CrosslightSuggestionMore"

--- Return a text with spaces for its tabs, as wide as they would be.
---@param text string
---@param column integer of the screen, where it begins
---@param tabstop integer
---@return string
local function expanded(text, column, tabstop)
  if not text:find("\t", 1, true) then
    return text
  end
  local pieces = {}
  for piece, tab in text:gmatch("([^\t]*)(\t?)") do
    column = column + vim.fn.strdisplaywidth(piece, column)
    table.insert(pieces, piece)
    if tab ~= "" then
      local width = tabstop - column % tabstop
      column = column + width
      table.insert(pieces, (" "):rep(width))
    end
  end
  return table.concat(pieces)
end

---@param bufnr integer
---@param row integer
---@param col integer
---@param chunks [string, string][]
---@param position "inline"|"overlay"
local function put(bufnr, row, col, chunks, position)
  vim.api.nvim_buf_set_extmark(bufnr, NAMESPACE, row, col, {
    virt_text = chunks,
    virt_text_pos = position,
    hl_mode = "combine",
  })
end

--- Show what is left of a suggestion, in place of whatever was shown.
---@param bufnr integer
---@param left crosslight.Left
---@param hint? string said behind it
function M.draw(bufnr, left, hint)
  M.clear(bufnr)
  local tabstop = vim.bo[bufnr].tabstop
  local column = vim.fn.virtcol(".", true)[1] - 1
  local lines = vim.split(left.text, "\n", { plain = true })
  local first, replaced, rest = lines[1], left.after:sub(1, left.replaced), left.after:sub(left.replaced + 1)
  local parts = suggestion.parts(first, replaced)
  if parts and (#lines == 1 or rest == "") then
    for _, part in ipairs(parts) do
      if part.text ~= "" then
        local chunk = { expanded(part.text, column, tabstop), TEXT }
        put(bufnr, left.row, left.col + part.offset, { chunk }, "inline")
      end
    end
  else
    -- What stands behind the cursor would be elsewhere: it is covered, and shown there.
    local covered = vim.fn.strdisplaywidth(left.after, column)
    lines[#lines] = lines[#lines] .. rest
    local text = expanded(lines[1], column, tabstop)
    local padding = (" "):rep(math.max(0, covered - vim.fn.strdisplaywidth(text)))
    put(bufnr, left.row, left.col, { { text .. padding, TEXT } }, "overlay")
  end
  local below = {}
  for index = 2, #lines do
    below[index - 1] = { { expanded(lines[index], 0, tabstop), TEXT } }
  end
  if hint then
    local last = below[#below]
    if last then
      table.insert(last, { hint, HINT })
    else
      put(bufnr, left.row, left.col + #left.after, { { hint, HINT } }, "inline")
    end
  end
  if #below > 0 then
    vim.api.nvim_buf_set_extmark(bufnr, NAMESPACE, left.row, left.col, {
      virt_lines = below,
      virt_lines_overflow = "scroll",
    })
  end
end

--- Show nothing.
---@param bufnr integer
function M.clear(bufnr)
  if vim.api.nvim_buf_is_valid(bufnr) then
    vim.api.nvim_buf_clear_namespace(bufnr, NAMESPACE, 0, -1)
  end
end

-- Greys that are told apart from code on dark and on light ground alike: which one it is, terminals tell late.
local GREY, GREY_OF_256 = "#808080", 244

--- Return how suggestions look: like Neovim's own, unless these would look like code, or be hard to see.
---@param link string the group of Neovim's own
---@return vim.api.keyset.highlight
local function look_of(link)
  local own = vim.api.nvim_get_hl(0, { name = link, link = false })
  local faint = vim.api.nvim_get_color_by_name
  local is_faint = own.fg == nil or own.fg == faint("NvimDarkGrey4") or own.fg == faint("NvimLightGrey4")
  if own.ctermfg and not is_faint then
    return { link = link }
  end
  own.fg = is_faint and GREY or own.fg
  own.ctermfg = own.ctermfg or GREY_OF_256
  own.default = nil
  return own --[[@as vim.api.keyset.highlight]]
end

--- Say what the highlights are where neither the user nor a colour scheme does.
function M.set_highlights()
  local has_hint = vim.fn.has("nvim-0.12") == 1
  local looks = {
    [TEXT] = look_of(has_hint and "ComplHint" or "NonText"),
    [HINT] = { link = has_hint and "ComplHintMore" or "MoreMsg" },
    CrosslightShare = { link = "Function" },
    CrosslightPlace = { link = "Directory" },
  }
  for group, look in pairs(looks) do
    look.default = true
    vim.api.nvim_set_hl(0, group, look)
  end
end

return M
