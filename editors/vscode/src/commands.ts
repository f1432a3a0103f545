/** The commands of the palette and the menu. */
import * as vscode from "vscode";
import { type CrosslightClient, isLost } from "./client";
import { type Explanation, openDefinition } from "./explain";
import { OPEN_DEFINITION } from "./explainPage";
import { languageName } from "./languages";
import type { Lifecycle } from "./lifecycle";
import { menuItems } from "./menu";
import { PAUSES, pauseArguments } from "./pause";
import { ACCEPT, type StatusAnswer } from "./protocol";
import { disabledLanguages, isEnabled, setEnabled, setLanguageEnabled } from "./settings";
import { statusText } from "./statusText";
import { isPaused, modelCommand } from "./state";
import type { Store } from "./store";
import { install, pullModel, runDoctor } from "./tasks";

/** What the commands act on. */
export interface Parts {
  readonly context: vscode.ExtensionContext;
  readonly lifecycle: Lifecycle;
  readonly store: Store;
  readonly log: vscode.LogOutputChannel;
  readonly explanation: Explanation;
  readonly ownFolder: string;
}

/** Register every command; each works, or says why not, whether or not the server runs. */
export function registerCommands(parts: Parts): vscode.Disposable[] {
  const { context, lifecycle, store, log, explanation, ownFolder } = parts;
  const handlers: Record<string, (...arguments_: unknown[]) => unknown> = {
    "crosslight.menu": () => showMenu(parts),
    "crosslight.explainLast": () => withServer(parts, (client) => explanation.show(client)),
    "crosslight.status": () => withServer(parts, showStatus),
    "crosslight.pause": () => withServer(parts, (client) => pauseOrResume(client, parts.store)),
    "crosslight.toggle": () => setEnabled(!isEnabled()),
    "crosslight.toggleLanguage": toggleLanguage,
    "crosslight.reindex": () => withServer(parts, (client) => client.execute("crosslight.reindex")),
    "crosslight.stopIndexing": () => withServer(parts, (client) => client.bars.stopIndexing()),
    "crosslight.clearCaches": () => withServer(parts, (client) => client.execute("crosslight.clearCaches")),
    "crosslight.restart": () => lifecycle.restart(),
    "crosslight.showLog": () => log.show(true),
    "crosslight.settings": () =>
      vscode.commands.executeCommand("workbench.action.openSettings", "crosslight."),
    "crosslight.install": () => alone(store, () => install({ context, lifecycle, store, ownFolder })),
    "crosslight.pullModel": () =>
      alone(store, () => pullModel(lifecycle, store, neededModel(store) ?? ["model", "pull"])),
    "crosslight.doctor": () => runDoctor(lifecycle),
    "crosslight.showTerminal": showTerminal,
    [OPEN_DEFINITION]: openDefinition,
    [ACCEPT]: (id) => (typeof id === "string" ? lifecycle.accepted(id) : undefined),
  };
  return Object.entries(handlers).map(([name, handler]) => vscode.commands.registerCommand(name, handler));
}

async function withServer(
  { lifecycle, store }: Parts,
  act: (client: CrosslightClient) => Promise<unknown>,
): Promise<void> {
  const client = lifecycle.running;
  if (client === undefined) {
    void vscode.window.showWarningMessage(`Crosslight: ${store.display.detail}`);
    return;
  }
  try {
    await act(client);
  } catch (error) {
    if (!isLost(error)) {
      throw error;
    }
    void vscode.window.showWarningMessage("Crosslight: the server ended before it answered.");
  }
}

/** Start a task unless one is at work, which is shown instead. */
async function alone(store: Store, act: () => Promise<void>): Promise<void> {
  await (store.facts.task === undefined ? act() : showTerminal());
}

async function showTerminal(): Promise<void> {
  await vscode.commands.executeCommand("workbench.action.terminal.focus");
}

async function showMenu({ lifecycle, store }: Parts): Promise<void> {
  const language = vscode.window.activeTextEditor?.document.languageId;
  const items = menuItems({
    display: store.display,
    isServerThere: store.facts.server !== "missing",
    isEnabled: isEnabled(),
    isPaused: isPaused(store.facts),
    isModelMissing: neededModel(store) !== undefined,
    language: language === undefined ? undefined : languageName(language, vscode.extensions.all),
    isLanguageOff: language !== undefined && disabledLanguages().includes(language),
  });
  const title = lifecycle.running === undefined ? "Crosslight" : `Crosslight: ${store.display.detail}`;
  const chosen = await vscode.window.showQuickPick(items, { title });
  // else the status bar item, which was clicked, would get what is typed next
  await vscode.commands.executeCommand("workbench.action.focusActiveEditorGroup");
  if (chosen !== undefined) {
    await vscode.commands.executeCommand(chosen.command);
  }
}

async function showStatus(client: CrosslightClient): Promise<void> {
  const answer = await client.execute<StatusAnswer>("crosslight.status");
  const chosen = await vscode.window.showInformationMessage(statusText(answer), "Show Log");
  if (chosen !== undefined) {
    await vscode.commands.executeCommand("crosslight.showLog");
  }
}

async function pauseOrResume(client: CrosslightClient, store: Store): Promise<void> {
  if (isPaused(store.facts)) {
    await client.execute("crosslight.pause", false);
    return;
  }
  const chosen = await vscode.window.showQuickPick(PAUSES, { title: "Pause suggestions while typing" });
  if (chosen !== undefined) {
    await client.execute("crosslight.pause", ...pauseArguments(chosen));
  }
}

async function toggleLanguage(): Promise<void> {
  const language = vscode.window.activeTextEditor?.document.languageId;
  if (language !== undefined) {
    await setLanguageEnabled(language, disabledLanguages().includes(language));
  }
}

/** The command that fetches the model for which the server waits. */
function neededModel({ facts }: Store): string[] | undefined {
  return facts.status?.kind === "Error" ? modelCommand(facts.status.message) : undefined;
}
