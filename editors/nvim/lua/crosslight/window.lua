--- A small window over the others that shows lines and is closed by `q` or <Esc>.
local M = {}

---@class crosslight.Line
---@field chunks [string, string?][] texts, each with a highlight
---@field jump? { path: string, line: integer } where <CR> goes

---@param lines crosslight.Line[]
---@return integer bufnr
local function buffer_of(lines)
  local bufnr = vim.api.nvim_create_buf(false, true)
  local namespace = vim.api.nvim_create_namespace("crosslight.window")
  local texts = vim.tbl_map(function(line)
    return table.concat(vim.tbl_map(function(chunk)
      return (chunk[1]:gsub("\n", " "))
    end, line.chunks))
  end, lines)
  vim.api.nvim_buf_set_lines(bufnr, 0, -1, false, texts)
  for row, line in ipairs(lines) do
    local col = 0
    for _, chunk in ipairs(line.chunks) do
      if chunk[2] then
        local extent = { end_col = col + #chunk[1], hl_group = chunk[2] }
        vim.api.nvim_buf_set_extmark(bufnr, namespace, row - 1, col, extent)
      end
      col = col + #chunk[1]
    end
  end
  vim.bo[bufnr].modifiable = false
  vim.bo[bufnr].bufhidden = "wipe"
  return bufnr
end

---@param jump { path: string, line: integer }
---@param from integer window
local function go(jump, from)
  if vim.api.nvim_win_is_valid(from) then
    vim.api.nvim_set_current_win(from)
  end
  vim.cmd("normal! m'")
  vim.cmd.edit(vim.fn.fnameescape(vim.fn.fnamemodify(jump.path, ":.")))
  local last = vim.api.nvim_buf_line_count(0)
  vim.api.nvim_win_set_cursor(0, { math.min(jump.line, last), 0 })
  vim.cmd("normal! zvzz")
end

--- Open a window.
---@param title string
---@param filetype string
---@param lines crosslight.Line[]
---@return integer window
function M.open(title, filetype, lines)
  local from = vim.api.nvim_get_current_win()
  local bufnr = buffer_of(lines)
  local width = vim.fn.strdisplaywidth(title) + 2
  for _, text in ipairs(vim.api.nvim_buf_get_lines(bufnr, 0, -1, false)) do
    width = math.max(width, vim.fn.strdisplaywidth(text))
  end
  width = math.min(width, math.max(20, vim.o.columns - 4))
  if vim.api.nvim_get_mode().mode:sub(1, 1) == "i" then
    vim.cmd.stopinsert()
  end
  local window = vim.api.nvim_open_win(bufnr, true, {
    relative = "editor",
    width = width,
    height = 1,
    row = 0,
    col = math.floor((vim.o.columns - width) / 2),
    border = "rounded",
    style = "minimal",
    title = " " .. title .. " ",
  })
  vim.bo[bufnr].filetype = filetype
  vim.wo[window].cursorline = true
  vim.wo[window].wrap, vim.wo[window].linebreak = true, true
  vim.wo[window].breakindent, vim.wo[window].breakindentopt = true, "shift:2"
  local height = vim.api.nvim_win_text_height(window, {}).all
  height = math.min(height, math.max(1, vim.o.lines - vim.o.cmdheight - 4))
  local row = math.max(0, math.floor((vim.o.lines - height) / 2) - 1)
  local col = math.floor((vim.o.columns - width) / 2)
  vim.api.nvim_win_set_config(window, { relative = "editor", height = height, row = row, col = col })
  local function close()
    if vim.api.nvim_win_is_valid(window) then
      vim.api.nvim_win_close(window, true)
    end
  end
  for _, key in ipairs({ "q", "<Esc>" }) do
    vim.keymap.set("n", key, close, { buffer = bufnr, nowait = true, desc = "Close" })
  end
  vim.keymap.set("n", "<CR>", function()
    local jump = lines[vim.api.nvim_win_get_cursor(window)[1]].jump
    if jump then
      close()
      go(jump, from)
    end
  end, { buffer = bufnr, desc = "Go to the definition" })
  vim.api.nvim_create_autocmd(
    "WinLeave",
    { buffer = bufnr, once = true, callback = vim.schedule_wrap(close) }
  )
  return window
end

return M
