import type { Machine } from "../src/server";

/** A machine that has these programs, each a path or a link `[path, where to]`. */
export function machineWith(
  programs: readonly (string | readonly [string, string])[],
  more: Partial<Machine> = {},
): Machine {
  const links = new Map(programs.filter((one) => typeof one !== "string"));
  const files = new Set(programs.map((one) => (typeof one === "string" ? one : one[0])));
  return {
    platform: "linux",
    env: { PATH: "/usr/local/bin:/usr/bin" },
    home: "/home/ada",
    ownFolder: "/home/ada/.vscode/storage/server",
    workspaceFolders: ["/home/ada/shop"],
    isExecutable: (file) => files.has(file),
    realPath: (file) => links.get(file) ?? file,
    ...more,
  };
}
