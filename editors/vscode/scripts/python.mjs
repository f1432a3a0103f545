// Which Python the scripts run: the one that is named, the repository's own, or the system's.
import { existsSync } from "node:fs";
import { resolve } from "node:path";

/** @returns {string} */
export function python() {
  const own = resolve(
    process.platform === "win32" ? "../../.venv/Scripts/python.exe" : "../../.venv/bin/python",
  );
  return process.env.PYTHON ?? (existsSync(own) ? own : "python3");
}
