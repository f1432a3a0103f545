// Writes the server's settings into package.json, as the server declares them.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { python } from "./python.mjs";

const own = {
  title: "Server",
  properties: {
    "crosslight.serverPath": {
      type: "string",
      default: "",
      scope: "machine",
      markdownDescription:
        "Where the program `crosslight` is, as an absolute path. Empty looks where pipx and uv install, then in `PATH`; never in a folder that is open.",
    },
  },
};
const printed = execFileSync(python(), ["-m", "lsp_server.settings_reference", "--vscode"], { cwd: "../.." });
const manifest = JSON.parse(readFileSync("package.json", "utf8"));
manifest.contributes.configuration = [JSON.parse(printed), own];
writeFileSync("package.json", `${JSON.stringify(manifest, null, 2)}\n`);
