/**
 * Where the server is: in the user's own places, never in a folder that is open.
 *
 * Knows nothing of VS Code; what it asks of the machine is handed in.
 */
import * as path from "node:path";

/** What the search asks of the machine. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  /** Where the extension keeps an installation of its own. */
  readonly ownFolder: string;
  /** The folders that are open; nothing in them is ever run. */
  readonly workspaceFolders: readonly string[];
  readonly isExecutable: (file: string) => boolean;
  /** The path with links followed; the path itself where there is none. */
  readonly realPath: (file: string) => string;
}

export type Search =
  | { readonly kind: "found"; readonly file: string }
  /** `refused`: servers that were found in an open folder. */
  | { readonly kind: "missing"; readonly refused: readonly string[] }
  | { readonly kind: "unusable"; readonly message: string };

/**
 * Find the server.
 *
 * The user's setting decides where there is one. Otherwise the places are asked in the order in which people
 * mean them: what pipx and uv installed, what the extension installed, then PATH.
 *
 * @param setting The value of `crosslight.serverPath`; empty to look for it.
 */
export function findServer(setting: string, machine: Machine): Search {
  if (setting.trim() !== "") {
    return named(setting.trim(), machine);
  }
  const refused: string[] = [];
  for (const file of candidates(machine)) {
    if (!machine.isExecutable(file)) {
      continue;
    }
    if (isInWorkspace(file, machine)) {
      refused.push(file);
    } else {
      return { kind: "found", file };
    }
  }
  return { kind: "missing", refused };
}

/** Whether a file, or what it links to, lies in an open folder. */
export function isInWorkspace(file: string, machine: Machine): boolean {
  const at = pathOf(machine);
  const files = [file, machine.realPath(file)];
  const folders = machine.workspaceFolders.flatMap((folder) => [folder, machine.realPath(folder)]);
  return files.some((one) =>
    folders.some((folder) => {
      const way = at.relative(folder, one);
      return way === "" || !(way === ".." || way.startsWith(`..${at.sep}`) || at.isAbsolute(way));
    }),
  );
}

/** Every place where a program may lie, in the order in which they are asked, each once. */
export function programFiles(name: string, machine: Machine): string[] {
  const at = pathOf(machine);
  const file = machine.platform === "win32" ? `${name}.exe` : name;
  return [
    ...new Set([...toolFolders(machine), ...pathFolders(machine)].map((folder) => at.join(folder, file))),
  ];
}

function named(setting: string, machine: Machine): Search {
  const at = pathOf(machine);
  const file = /^~[\\/]/.test(setting) ? at.join(machine.home, setting.slice(2)) : setting;
  if (!at.isAbsolute(file)) {
    return {
      kind: "unusable",
      message: `crosslight.serverPath must be an absolute path, but is ${setting}.`,
    };
  }
  if (!machine.isExecutable(file)) {
    return { kind: "unusable", message: `crosslight.serverPath names ${file}, which is no program.` };
  }
  return { kind: "found", file };
}

function candidates(machine: Machine): string[] {
  const { env, home } = machine;
  const at = pathOf(machine);
  const isWindows = machine.platform === "win32";
  const [bin, program] = isWindows ? ["Scripts", "crosslight.exe"] : ["bin", "crosslight"];
  const data = env.XDG_DATA_HOME || at.join(home, ".local", "share");
  const environments = [
    env.PIPX_HOME && at.join(env.PIPX_HOME, "venvs"),
    at.join(data, "pipx", "venvs"),
    at.join(home, ".local", "pipx", "venvs"),
    at.join(home, "pipx", "venvs"),
    env.UV_TOOL_DIR,
    at.join(data, "uv", "tools"),
    isWindows && env.APPDATA && at.join(env.APPDATA, "uv", "tools"),
  ];
  const inEnvironments = environments
    .filter((folder): folder is string => typeof folder === "string" && at.isAbsolute(folder))
    .map((folder) => at.join(folder, "crosslight", bin, program));
  const files = programFiles("crosslight", machine);
  const nTools = toolFolders(machine).length;
  const own = at.join(machine.ownFolder, bin, program);
  return [...new Set([...files.slice(0, nTools), ...inEnvironments, own, ...files.slice(nTools)])];
}

/** The folders into which pipx and uv put the programs that they install. */
function toolFolders(machine: Machine): string[] {
  const { env, home } = machine;
  const at = pathOf(machine);
  const folders = [env.PIPX_BIN_DIR, env.UV_TOOL_BIN_DIR, env.XDG_BIN_HOME, at.join(home, ".local", "bin")];
  return [...new Set(folders.filter((folder): folder is string => !!folder && at.isAbsolute(folder)))];
}

/** The folders of PATH; one that depends on where a program is started is none of the user's. */
function pathFolders(machine: Machine): string[] {
  const at = pathOf(machine);
  const all = machine.env.PATH ?? machine.env.Path ?? "";
  return all.split(at.delimiter).filter((folder) => at.isAbsolute(folder));
}

/** The rules for paths of the machine that is searched, which in tests is not the one that searches. */
function pathOf(machine: Machine): path.PlatformPath {
  return machine.platform === "win32" ? path.win32 : path.posix;
}
