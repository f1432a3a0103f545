/** The server's life: found, started, started again, and what the user is told when that fails. */
import * as vscode from "vscode";
import { State as ClientState, ShowMessageNotification } from "vscode-languageclient/node";
import { CrosslightClient, isLost } from "./client";
import { CrashCount } from "./crashes";
import { thisMachine } from "./machine";
import { showMessage } from "./messages";
import { DidChangeStatus } from "./protocol";
import { findServer, type Search } from "./server";
import { serverPath, serverSettings } from "./settings";
import { isModelReady } from "./state";
import type { Store } from "./store";
import { Suggestions } from "./suggestions";
import { isOlder } from "./versions";
import type { Wakening } from "./wakening";

/** What the server needs of the rest. */
export interface Surroundings {
  readonly log: vscode.LogOutputChannel;
  readonly store: Store;
  /** Where the extension keeps an installation of its own. */
  readonly ownFolder: string;
  /** The extension's version, which is the server's, too. */
  readonly version: string;
  readonly settingNames: readonly string[];
  readonly wakening: Wakening;
  readonly onAccepted: () => void;
  readonly onShown: (client: CrosslightClient) => Promise<void>;
}

export class Lifecycle {
  private readonly crashes = new CrashCount();
  private client: CrosslightClient | undefined;
  private suggestions: Suggestions | undefined;
  private isModelReady = false;
  private isWelcoming = false;
  private turn: Promise<void> = Promise.resolve();

  constructor(private readonly around: Surroundings) {}

  /** The running server. */
  get running(): CrosslightClient | undefined {
    return this.client?.isRunning() ? this.client : undefined;
  }

  /** Look for the server. */
  search(): Search {
    return findServer(serverPath(), thisMachine(this.around.ownFolder));
  }

  /** Start the server, or start it anew; one after the other, however often it is asked for. */
  async restart(): Promise<void> {
    this.crashes.forget();
    if (this.running === undefined) {
      void this.stop(); // what hangs while it starts would keep its turn for ever
    }
    const before = this.turn;
    this.turn = (async () => {
      await before.catch(() => undefined); // whoever asked for it was told
      await this.stop();
      await this.start();
    })();
    await this.turn;
  }

  /** Say so once the model is ready, which the user now waits for. */
  welcome(): void {
    this.isWelcoming = true;
  }

  /** Tell the server that a suggestion was accepted. */
  async accepted(id: string): Promise<void> {
    await this.suggestions?.accepted(id);
    this.around.onAccepted();
  }

  /** Send the server its settings again. */
  async sendSettings(): Promise<void> {
    await this.running?.sendSettings(serverSettings(this.around.settingNames));
  }

  async stop(): Promise<void> {
    const { client } = this;
    this.client = undefined;
    this.suggestions?.dispose();
    this.suggestions = undefined;
    try {
      await client?.end();
    } catch (error) {
      this.around.log.debug(`the server did not end as it should: ${error}`);
    }
  }

  private async start(): Promise<void> {
    const { log, store } = this.around;
    const search = this.search();
    const isFound = search.kind === "found";
    await vscode.commands.executeCommand("setContext", "crosslight.serverFound", isFound);
    if (!isFound) {
      this.tellMissing(search);
      return;
    }
    log.info(`server: ${search.file}`);
    store.update({ server: "starting", status: undefined, cause: "" });
    const client = this.newClient(search.file);
    this.client = client;
    try {
      await client.start();
      if (this.client !== client) {
        await client.end(); // it was given up before it had a process to kill
        return;
      }
      this.compareVersions(client.initializeResult?.serverInfo?.version);
    } catch (error) {
      if (!isLost(error)) {
        this.gaveUp(client, error instanceof Error ? error.message : String(error));
      }
    }
  }

  private newClient(file: string): CrosslightClient {
    const { log, store, settingNames, wakening, onShown } = this.around;
    const suggestions = new Suggestions(log, () => this.client, wakening, onShown);
    this.suggestions = suggestions;
    const client: CrosslightClient = new CrosslightClient({
      file,
      log,
      settings: () => serverSettings(settingNames),
      crashes: this.crashes,
      middleware: suggestions.middleware,
      onGaveUp: (cause) => this.gaveUp(client, cause),
    });
    client.onNotification(ShowMessageNotification.type, (params) => void showMessage(params));
    client.onNotification(DidChangeStatus, (status) => {
      store.update({ status });
      if (isModelReady(status)) {
        this.tellReady();
      }
    });
    client.onDidChangeState(({ newState }) => {
      if (this.client === client && newState === ClientState.Running) {
        store.update({ server: "running" });
      } else if (this.client === client && newState === ClientState.Starting) {
        store.update({ server: "starting", status: undefined });
      }
    });
    return client;
  }

  private tellReady(): void {
    if (!this.isModelReady) {
      this.isModelReady = true; // told once: a status comes with every key
      void vscode.commands.executeCommand("setContext", "crosslight.modelReady", true);
    }
    if (this.isWelcoming) {
      this.isWelcoming = false;
      void vscode.window.showInformationMessage("Crosslight is ready: open a file and type.");
    }
  }

  private tellMissing(search: Exclude<Search, { kind: "found" }>): void {
    const { log, store } = this.around;
    if (search.kind === "unusable") {
      log.error(search.message);
      store.update({ server: "failed", cause: search.message });
      void offer(vscode.window.showErrorMessage, search.message, ["Open Settings"]);
      return;
    }
    const refused = search.refused[0]?.replaceAll("](", "] ("); // no folder's name becomes a link in a message
    const where =
      refused === undefined ? "" : ` There is one in a folder that is open (${refused}), which is never run.`;
    const cause = `The server is not installed.${where}`;
    log.warn(cause);
    store.update({ server: "missing", cause });
    void offer(vscode.window.showErrorMessage, `Crosslight: ${cause}`, ["Install", "Open Settings"]);
  }

  private gaveUp(client: CrosslightClient, cause: string): void {
    const { log, store } = this.around;
    if (this.client !== client || store.facts.server === "failed") {
      return; // it was replaced, or that was told
    }
    log.error(cause);
    store.update({ server: "failed", cause });
    void offer(vscode.window.showErrorMessage, `Crosslight: ${cause}`, ["Restart", "Show Log"]);
  }

  private compareVersions(version: string | undefined): void {
    const wanted = this.around.version;
    if (version !== undefined && isOlder(version, wanted)) {
      this.around.log.warn(`the server's version is ${version}, the extension's ${wanted}`);
      const text = `Crosslight: the server (${version}) is older than the extension (${wanted}).`;
      const choice = serverPath() === "" ? "Update" : "Open Settings"; // one that the user named is theirs
      void offer(vscode.window.showWarningMessage, text, [choice]);
    }
  }
}

/** Show a message with buttons, and do what is chosen; errors stay until they are dismissed. */
async function offer(
  show: typeof vscode.window.showErrorMessage,
  text: string,
  choices: readonly (keyof typeof COMMANDS)[],
): Promise<void> {
  const chosen = await show(text, ...choices);
  if (chosen !== undefined) {
    const [command, ...arguments_] = COMMANDS[chosen as keyof typeof COMMANDS];
    await vscode.commands.executeCommand(command, ...arguments_);
  }
}

const COMMANDS = {
  Install: ["crosslight.install"],
  Update: ["crosslight.install"],
  Restart: ["crosslight.restart"],
  "Show Log": ["crosslight.showLog"],
  "Open Settings": ["workbench.action.openSettings", "crosslight.serverPath"],
} as const satisfies Record<string, readonly [string, ...string[]]>;
