// Makes dist/crosslight.vsix: the bundled extension, with the server's package in it.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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
// VS Code shows no pictures of an extension that was installed from a file, so they and their words stay out
const readme = readFileSync("README.md", "utf8").replace(/!\[[^]*?\n(?=## )/, "");
if (/!\[|images\//.test(readme)) {
  throw new Error("a picture is left in the extension's page");
}
writeFileSync("dist/README.md", readme);
await createVSIX({
  readmePath: "dist/README.md",
  packagePath: "dist/crosslight.vsix",
  dependencies: false,
  allowMissingRepository: true,
  rewriteRelativeLinks: false,
});
