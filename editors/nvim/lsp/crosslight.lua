return require("crosslight.server").lsp_config()
