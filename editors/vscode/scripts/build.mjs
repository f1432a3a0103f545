// Bundles the extension, and with --tests the unit tests instead, each into one file.
import { readdirSync, rmSync } from "node:fs";
import { build } from "esbuild";

const forTests = process.argv.includes("--tests");
const common = { bundle: true, platform: "node", target: "node20", logLevel: "warning" };

if (forTests) {
  rmSync("dist/test", { recursive: true, force: true });
  const entryPoints = readdirSync("test")
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => `test/${name}`);
  await build({ ...common, entryPoints, outdir: "dist/test", format: "cjs", sourcemap: "inline" });
} else {
  await build({
    ...common,
    entryPoints: ["src/extension.ts"],
    outfile: "dist/extension.js",
    format: "cjs",
    external: ["vscode"],
    minify: true,
    legalComments: "none",
  });
}
