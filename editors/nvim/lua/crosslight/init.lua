--- Code completion from the whole repository, on your own machine. `:help crosslight`
local M = {}

local LEAST_VERSION = "nvim-0.11"

---@param client_id integer
---@return boolean
local function is_ours(client_id)
  local client = vim.lsp.get_client_by_id(client_id)
  return client ~= nil and client.name == require("crosslight.server").NAME
end

local function on_attach(event)
  if not is_ours(event.data.client_id) then
    return
  end
  if vim.lsp.inline_completion then
    -- switched on for all servers, it would draw everything twice
    vim.lsp.inline_completion.enable(false, { client_id = event.data.client_id })
  end
  require("crosslight.keys").map(event.buf)
  require("crosslight.inline").refresh(true)
end

local function on_detach(event)
  if is_ours(event.data.client_id) then
    require("crosslight.inline").clear()
    require("crosslight.keys").unmap(event.buf)
  end
end

--- Have the keys before what a file type's settings mapped, which come anew with |:edit|.
local function on_file_type(event)
  if vim.api.nvim_buf_is_valid(event.buf) and require("crosslight.server").client(event.buf) then
    require("crosslight.keys").map(event.buf)
  end
end

--- Have the keys of new settings in buffers that are served already.
local function remap()
  local keys = require("crosslight.keys")
  for _, client in ipairs(vim.lsp.get_clients({ name = require("crosslight.server").NAME })) do
    for bufnr in pairs(client.attached_buffers) do
      keys.unmap(bufnr)
      keys.map(bufnr)
    end
  end
end

--- Start Crosslight, with settings if need be (|crosslight-config|); a second call replaces the settings.
---@param settings? table
function M.setup(settings)
  if vim.fn.has(LEAST_VERSION) == 0 then
    return vim.notify("Crosslight needs Neovim 0.11 or later", vim.log.levels.ERROR)
  end
  local config = require("crosslight.config")
  local problems
  config.current, problems = config.read(settings)
  if #problems > 0 then
    local list = table.concat(problems, "; ")
    require("crosslight.status").say(2, ("Crosslight: %s; :help crosslight-config"):format(list))
  end
  vim.g.crosslight_did_setup = true
  local group = vim.api.nvim_create_augroup("crosslight", {})
  vim.api.nvim_create_autocmd("LspAttach", { group = group, callback = on_attach })
  vim.api.nvim_create_autocmd("LspDetach", { group = group, callback = on_detach })
  vim.api.nvim_create_autocmd("FileType", { group = group, callback = vim.schedule_wrap(on_file_type) })
  vim.api.nvim_create_autocmd("ColorScheme", {
    group = group,
    callback = require("crosslight.ghost").set_highlights,
  })
  require("crosslight.ghost").set_highlights()
  require("crosslight.keys").define()
  require("crosslight.keys").map_trigger()
  remap()
  require("crosslight.inline").listen(group)
  require("crosslight.server").enable()
end

--- Insert the whole suggestion.
---@return boolean whether one is shown
function M.accept()
  return require("crosslight.inline").accept("all")
end

--- Insert the suggestion's next word.
---@return boolean
function M.accept_word()
  return require("crosslight.inline").accept("word")
end

--- Insert the suggestion's next line.
---@return boolean
function M.accept_line()
  return require("crosslight.inline").accept("line")
end

--- Show the next suggestion, where there are several.
---@return boolean
function M.next()
  return require("crosslight.inline").select(1)
end

--- Show the suggestion before.
---@return boolean
function M.previous()
  return require("crosslight.inline").select(-1)
end

--- Hide the suggestion until something changes.
---@return boolean
function M.dismiss()
  return require("crosslight.inline").dismiss()
end

--- Ask for a suggestion, also where none comes by itself.
function M.trigger()
  require("crosslight.inline").trigger()
end

--- Return what is shown at the cursor, nil for nothing.
---@return crosslight.Visible?
function M.visible()
  return require("crosslight.inline").visible()
end

---@class crosslight.Scope
---@field bufnr? integer 0 for the current buffer, nil for all

---@param scope? crosslight.Scope
---@return integer?
local function buffer_of(scope)
  local bufnr = scope and scope.bufnr
  return bufnr == 0 and vim.api.nvim_get_current_buf() or bufnr
end

--- Switch suggestions while typing on or off, in one buffer or in all that do not say otherwise.
---@param on? boolean true
---@param scope? crosslight.Scope
function M.enable(on, scope)
  on = on ~= false
  local bufnr, inline = buffer_of(scope), require("crosslight.inline")
  if bufnr then
    vim.b[bufnr].crosslight_enabled = on
  else
    require("crosslight.config").current.enabled = on
  end
  if not inline.is_enabled(vim.api.nvim_get_current_buf()) then
    inline.clear()
  end
  inline.refresh(true)
  require("crosslight.status").announce()
end

--- Return whether suggestions come while typing.
---@param scope? crosslight.Scope
---@return boolean
function M.is_enabled(scope)
  return require("crosslight.inline").is_enabled(buffer_of(scope))
end

--- Switch suggestions while typing off if they are on, and on if they are off.
---@param scope? crosslight.Scope
function M.toggle(scope)
  local on = not M.is_enabled(scope)
  M.enable(on, scope)
  local where = buffer_of(scope) and " in this buffer" or ""
  vim.notify(("Crosslight: suggestions are %s%s"):format(on and "on" or "off", where), vim.log.levels.INFO)
end

--- Stop suggestions while typing in this editor, for some minutes or until |crosslight.resume()|.
---@param minutes? number
function M.pause(minutes)
  require("crosslight.inline").clear()
  require("crosslight.server").run("pause", { true, minutes })
end

--- End a pause.
function M.resume()
  require("crosslight.server").run("pause", { false })
end

--- Bring the repository's index up to date; with `force`, parse files anew that did not change, too.
---@param options? { force?: boolean }
function M.reindex(options)
  require("crosslight.server").run("reindex", { options ~= nil and options.force == true }, function(answer)
    local roots = vim.tbl_map(function(root)
      return vim.fn.fnamemodify(root, ":~")
    end, answer.roots)
    vim.notify("Crosslight: indexing " .. table.concat(roots, ", "), vim.log.levels.INFO)
  end)
end

--- Show which definitions the last suggestion was made from.
function M.explain()
  require("crosslight.explain").open()
end

---@param title string
---@param filetype string
---@param texts string[]
local function show_texts(title, filetype, texts)
  local lines = vim.tbl_map(function(text)
    return { chunks = { { " " .. text .. " " } } }
  end, texts)
  require("crosslight.window").open(title, filetype, lines)
end

--- Show the state of the model and the index, and why nothing was suggested last.
function M.show_status()
  local bufnr = vim.api.nvim_get_current_buf()
  require("crosslight.server").run("status", nil, function(answer)
    show_texts("Crosslight", "crosslight-status", require("crosslight.status").describe(answer, bufnr))
  end)
end

--- Show what the server logged.
function M.open_log()
  local lines = {
    "The engine that all editors share has a log of its own: `crosslight engine status` names it.",
    ("Neovim's, of all servers: %s"):format(vim.fn.fnamemodify(vim.lsp.log.get_filename(), ":~")),
    "",
  }
  vim.list_extend(lines, require("crosslight.status").log())
  vim.cmd("botright new")
  vim.api.nvim_buf_set_lines(0, 0, -1, false, lines)
  vim.bo.buftype, vim.bo.bufhidden, vim.bo.modifiable = "nofile", "wipe", false
  vim.bo.filetype = "crosslight-log"
  vim.api.nvim_win_set_cursor(0, { vim.api.nvim_buf_line_count(0), 0 })
end

--- Return the status in a buffer, for status lines of your own.
---@param bufnr? integer
---@return crosslight.Status
function M.status(bufnr)
  return require("crosslight.status").get(bufnr)
end

--- Return the status as a text for a status line; empty where Crosslight is not at work.
---@return string
function M.statusline()
  return require("crosslight.status").statusline()
end

return M
