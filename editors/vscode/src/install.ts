/**
 * How the server is installed: by uv or pipx where there is one, else into an environment of the extension's.
 *
 * The extension brings the server's own package along, so that both have one version; what the package needs
 * comes from the user's package index. Knows nothing of VS Code.
 */
import { isInWorkspace, type Machine, programFiles } from "./server";

/** One program to run, with its arguments. */
export type Command = readonly [string, ...string[]];

export interface Plan {
  /** What the user is told: `uv`, `pipx`, or `Python`. */
  readonly by: string;
  /** To be run one after the other, as long as they succeed. */
  readonly commands: readonly Command[];
}

const PYTHONS = ["python3.14", "python3.13", "python3.12", "python3.11", "python3", "python"];

/** What a Python must be to make an environment for the server. */
export const PYTHON_CHECK: readonly string[] = [
  "-c",
  "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))",
];

/**
 * Return how to install the server, undefined where nothing on the machine can.
 *
 * @param wheel The server's package.
 * @param isFit Whether a Python passes `PYTHON_CHECK`.
 */
export async function installPlan(
  wheel: string,
  machine: Machine,
  isFit: (python: string) => Promise<boolean>,
): Promise<Plan | undefined> {
  const uv = find("uv", machine);
  if (uv !== undefined) {
    return { by: "uv", commands: [[uv, "tool", "install", "--force", wheel]] };
  }
  const pipx = find("pipx", machine);
  if (pipx !== undefined) {
    return { by: "pipx", commands: [[pipx, "install", "--force", wheel]] };
  }
  for (const name of PYTHONS) {
    const python = find(name, machine);
    if (python !== undefined && (await isFit(python))) {
      return { by: "Python", commands: intoOwnFolder(python, wheel, machine) };
    }
  }
  return undefined;
}

function intoOwnFolder(python: string, wheel: string, machine: Machine): readonly Command[] {
  const { ownFolder } = machine;
  const isWindows = machine.platform === "win32";
  const own = isWindows ? `${ownFolder}\\Scripts\\python.exe` : `${ownFolder}/bin/python`;
  return [
    [python, "-m", "venv", "--clear", ownFolder],
    [own, "-m", "pip", "install", "--disable-pip-version-check", wheel],
  ];
}

function find(name: string, machine: Machine): string | undefined {
  return programFiles(name, machine).find(
    (file) => machine.isExecutable(file) && !isInWorkspace(file, machine),
  );
}
