// Makes dist/crosslight.vsix: the bundled extension, with the server's package in it.
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { createVSIX } from "@vscode/vsce";
import { python } from "./python.mjs";

for (const folder of ["server", "dist"]) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
}
const quiet = ["--quiet", "--disable-pip-version-check"];
const wheel = ["-m", "pip", "wheel", ...quiet, "--no-deps", "--wheel-dir", "server", "../.."];
execFileSync(python(), wheel, { stdio: "inherit" });
execFileSync(process.execPath, ["scripts/build.mjs"], { stdio: "inherit" });
await createVSIX({
  packagePath: "dist/crosslight.vsix",
  dependencies: false,
  allowMissingRepository: true,
  rewriteRelativeLinks: false,
});
