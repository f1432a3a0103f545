/** What is run in a terminal before the user's eyes: installing the server, and fetching the model. */
import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as vscode from "vscode";
import { type Command, installPlan, PYTHON_CHECK } from "./install";
import type { Lifecycle } from "./lifecycle";
import { thisMachine } from "./machine";
import type { Task } from "./state";
import type { Store } from "./store";

const NO_INSTALLER =
  "Crosslight needs Python 3.11 or later to install its server. Install it, or uv or pipx, and try again.";

/** What installing acts on. */
export interface Installing {
  readonly context: vscode.ExtensionContext;
  readonly lifecycle: Lifecycle;
  readonly store: Store;
  readonly ownFolder: string;
}

/** Install the server and start it; it tells itself that it needs its model. */
export async function install({ context, lifecycle, store, ownFolder }: Installing): Promise<void> {
  const wheel = bundledWheel(context.extensionPath);
  if (wheel === undefined) {
    void vscode.window.showErrorMessage("Crosslight: this build of the extension has no server in it.");
    return;
  }
  const plan = await installPlan(wheel, thisMachine(ownFolder), isFit);
  if (plan === undefined) {
    void vscode.window.showErrorMessage(NO_INSTALLER);
    return;
  }
  fs.mkdirSync(path.dirname(ownFolder), { recursive: true });
  if (!(await shown(store, "installing", `Install the server with ${plan.by}`, plan.commands))) {
    void vscode.window.showErrorMessage("Crosslight: the server was not installed; the terminal says why.");
    return;
  }
  store.update({ server: "starting" });
  lifecycle.welcome();
  await lifecycle.restart();
}

/** Fetch a model by a command of the server's, and have it loaded. */
export async function pullModel(
  lifecycle: Lifecycle,
  store: Store,
  command: readonly string[],
): Promise<void> {
  const search = lifecycle.search();
  if (search.kind !== "found") {
    await vscode.commands.executeCommand("crosslight.install");
    return;
  }
  if (!(await shown(store, "fetching the model", "Fetch the model", [[search.file, ...command]]))) {
    void vscode.window.showErrorMessage("Crosslight: the model was not fetched; the terminal says why.");
    return;
  }
  lifecycle.welcome();
  if (lifecycle.running === undefined) {
    await lifecycle.restart();
  }
  await lifecycle.running?.execute("crosslight.pause", false); // which loads a model that was missing
}

/** Have the server look at everything that it needs, in a terminal. */
export async function runDoctor(lifecycle: Lifecycle): Promise<void> {
  const search = lifecycle.search();
  if (search.kind === "found") {
    await run("Doctor", [[search.file, "doctor"]]); // the terminal says what is wrong
  } else {
    await vscode.commands.executeCommand("crosslight.restart"); // which tells what is missing
  }
}

/** Run commands as `run` does, while the status bar says what is at work; a terminal of a success is closed. */
async function shown(store: Store, task: Task, name: string, commands: readonly Command[]): Promise<boolean> {
  store.update({ task });
  try {
    const isDone = await run(name, commands);
    if (isDone) {
      vscode.window.terminals.find((terminal) => terminal.name.includes(name))?.dispose();
    }
    return isDone;
  } finally {
    store.update({ task: undefined });
  }
}

/** Run commands one after the other in a terminal, and return whether all succeeded. */
async function run(name: string, commands: readonly Command[]): Promise<boolean> {
  for (const [program, ...arguments_] of commands) {
    // from the user's home, so that nothing in the workspace is picked up
    const execution = new vscode.ProcessExecution(program, arguments_, { cwd: os.homedir() });
    const task = new vscode.Task(
      { type: "crosslight", name },
      vscode.TaskScope.Global,
      name,
      "Crosslight",
      execution,
    );
    task.presentationOptions = { reveal: vscode.TaskRevealKind.Always, showReuseMessage: false };
    if ((await exitCode(task)) !== 0) {
      return false;
    }
  }
  return true;
}

async function exitCode(task: vscode.Task): Promise<number | undefined> {
  const isIt = (other: vscode.Task) => other.name === task.name && other.source === task.source;
  const listening: vscode.Disposable[] = [];
  const ended = new Promise<number | undefined>((resolve) => {
    listening.push(
      vscode.tasks.onDidEndTaskProcess(({ execution, exitCode: code }) => {
        if (isIt(execution.task)) {
          resolve(code);
        }
      }),
    );
  });
  try {
    await vscode.tasks.executeTask(task);
    return await ended;
  } finally {
    vscode.Disposable.from(...listening).dispose();
  }
}

/** Return the server's package that the extension brings along. */
function bundledWheel(extensionPath: string): string | undefined {
  const folder = path.join(extensionPath, "server");
  const names = fs.existsSync(folder) ? fs.readdirSync(folder) : [];
  const name = names.find((one) => one.endsWith(".whl"));
  return name === undefined ? undefined : path.join(folder, name);
}

async function isFit(python: string): Promise<boolean> {
  return await new Promise((resolve) => {
    execFile(python, [...PYTHON_CHECK], { cwd: os.homedir(), timeout: 10_000 }, (error) =>
      resolve(error === null),
    );
  });
}
