/** The extension's parts, put together. */
import * as path from "node:path";
import * as vscode from "vscode";
import { CatchUp } from "./catchUp";
import { registerCommands } from "./commands";
import { Explanation } from "./explain";
import { Lifecycle } from "./lifecycle";
import { disabledLanguages, SERVER_PATH, serverSettingNames } from "./settings";
import { StatusBar } from "./statusBar";
import { Store } from "./store";
import { Wakening } from "./wakening";

let lifecycle: Lifecycle | undefined;

/** Called by VS Code once it has started; returns at once, the server starts meanwhile. */
export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel("Crosslight", { log: true });
  const statusBar = new StatusBar();
  const catchUp = new CatchUp(
    () => vscode.window.activeTextEditor?.document.uri.toString(),
    () => void vscode.commands.executeCommand("editor.action.inlineSuggest.trigger"),
  );
  const store = new Store((display) => {
    statusBar.show(display);
    catchUp.shown(display);
    log.debug(`state: ${display.state}`);
    void vscode.commands.executeCommand("setContext", "crosslight.state", display.state);
  });
  const wakening = new Wakening((command) => vscode.commands.executeCommand(command));
  const ownFolder = path.join(context.globalStorageUri.fsPath, "server");
  const { packageJSON } = context.extension;
  const explanation = new Explanation();
  lifecycle = new Lifecycle({
    log,
    store,
    ownFolder,
    version: packageJSON.version,
    settingNames: serverSettingNames(packageJSON),
    wakening,
    onAccepted: () => void noteAccepted(context),
    onShown: (client) =>
      explanation.refresh(client).catch((error) => log.debug(`the panel keeps what it shows: ${error}`)),
  });
  const commands = registerCommands({ context, lifecycle, store, log, explanation, ownFolder });
  context.subscriptions.push(
    log,
    statusBar,
    explanation,
    ...commands,
    vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
      if (contentChanges.length > 0) {
        catchUp.edited(document.uri.toString());
      }
    }),
    ...listeners(lifecycle, store, wakening),
  );
  const hasAccepted = context.globalState.get("accepted", false);
  void vscode.commands.executeCommand("setContext", "crosslight.accepted", hasAccepted);
  lookAround(store);
  void wakening.activated(vscode.window.activeTextEditor?.document);
  void lifecycle.restart();
}

/** Called by VS Code before it ends; the server is told. */
export async function deactivate(): Promise<void> {
  await lifecycle?.stop();
}

function listeners(lifecycle: Lifecycle, store: Store, wakening: Wakening): vscode.Disposable[] {
  const { workspace, window } = vscode;
  return [
    window.onDidChangeActiveTextEditor((editor) => {
      lookAround(store);
      void wakening.activated(editor?.document);
    }),
    workspace.onDidOpenTextDocument(() => lookAround(store)), // its language may have changed
    workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration(SERVER_PATH)) {
        void lifecycle.restart();
      } else if (event.affectsConfiguration("crosslight")) {
        void lifecycle.sendSettings();
      }
      lookAround(store);
    }),
  ];
}

/** Take up what the status bar says of the active editor. */
function lookAround(store: Store): void {
  const document = vscode.window.activeTextEditor?.document;
  const language = document?.languageId;
  store.update({
    inlineSuggest: vscode.workspace.getConfiguration("editor", document).get("inlineSuggest.enabled", true),
    languageOff: language !== undefined && disabledLanguages().includes(language) ? language : undefined,
  });
}

async function noteAccepted(context: vscode.ExtensionContext): Promise<void> {
  if (context.globalState.get("accepted", false)) {
    return;
  }
  await vscode.commands.executeCommand("setContext", "crosslight.accepted", true);
  await context.globalState.update("accepted", true);
}
