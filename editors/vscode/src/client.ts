/** The language client: VS Code's own, less what the extension does itself, and with an ear for suggestions. */
import * as os from "node:os";
import * as readline from "node:readline";
import type * as vscode from "vscode";
import {
  CloseAction,
  ConnectionError,
  type DynamicFeature,
  ErrorAction,
  ErrorCodes,
  ExecuteCommandRequest,
  LanguageClient,
  type LanguageClientOptions,
  type Middleware,
  ResponseError,
  RevealOutputChannelOn,
  State,
  type StaticFeature,
  WorkDoneProgressCreateRequest,
} from "vscode-languageclient/node";
import type { CrashCount } from "./crashes";
import { Bars } from "./progress";

const SCHEMES = ["file", "untitled", "vscode-notebook-cell"];

/** What a client is made of. */
export interface ClientParts {
  readonly file: string;
  readonly log: vscode.LogOutputChannel;
  /** Returns the settings that the server knows. */
  readonly settings: () => Record<string, unknown>;
  readonly crashes: CrashCount;
  readonly middleware: Middleware;
  /** Called when the server cannot be kept running. */
  readonly onGaveUp: (cause: string) => void;
}

export class CrosslightClient extends LanguageClient {
  readonly bars: Bars = new Bars(this);
  private readonly life: { isEnded: boolean };

  constructor(parts: ClientParts) {
    const life = { isEnded: false };
    const run = { command: parts.file, args: ["serve"], options: { cwd: os.homedir() } };
    super("crosslight", "Crosslight", run, optionsOf(parts, life));
    this.life = life;
    super.registerFeature(this.bars);
  }

  /**
   * Leave out two features. The server's commands are the extension's own, so that they exist before the
   * server runs and have one name each; its progress is in the status bar item.
   */
  override registerFeature(feature: StaticFeature | DynamicFeature<unknown>): void {
    const state = feature.getState();
    const id = state.kind === "static" ? undefined : state.id;
    if (id !== ExecuteCommandRequest.method && id !== WorkDoneProgressCreateRequest.method) {
      super.registerFeature(feature);
    }
  }

  /** Log an error; the user is told once, and by us, what cannot go on. */
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }

  /** End the server for good; one that is still starting, which cannot be told, is killed. */
  async end(): Promise<void> {
    this.life.isEnded = true;
    if (this.state === State.Starting) {
      this.serverProcess?.kill();
    } else {
      await this.dispose();
    }
  }

  /** Run one of the server's commands. */
  async execute<T>(command: string, ...arguments_: unknown[]): Promise<T> {
    return await this.sendRequest(ExecuteCommandRequest.method, { command, arguments: arguments_ });
  }

  /** Send the settings again. */
  async sendSettings(settings: Record<string, unknown>): Promise<void> {
    await this.sendNotification("workspace/didChangeConfiguration", { settings: { crosslight: settings } });
  }
}

/** Whether a start failed because the server ended; what then happens is decided where its end is noticed. */
export function isLost(error: unknown): boolean {
  const isRejected = error instanceof ResponseError && error.code === ErrorCodes.PendingResponseRejected;
  return isRejected || error instanceof ConnectionError;
}

function optionsOf(parts: ClientParts, life: { readonly isEnded: boolean }): LanguageClientOptions {
  const { log, settings, crashes, middleware, onGaveUp } = parts;
  return {
    documentSelector: SCHEMES.map((scheme) => ({ scheme })),
    initializationOptions: settings,
    outputChannel: log,
    revealOutputChannelOn: RevealOutputChannelOn.Never,
    middleware,
    stdioOptions: {
      stdout: () => undefined,
      stderr: (stream) => {
        readline.createInterface({ input: stream }).on("line", (line) => log.info(line));
      },
    },
    initializationFailedHandler: (error: unknown) => {
      if (!isLost(error)) {
        onGaveUp(error instanceof Error ? error.message : String(error));
      }
      return false;
    },
    errorHandler: {
      error: () => ({ action: ErrorAction.Continue, handled: true }),
      closed: () => {
        if (life.isEnded) {
          return { action: CloseAction.DoNotRestart, handled: true };
        }
        if (crashes.mayRestart()) {
          return { action: CloseAction.Restart, handled: true };
        }
        onGaveUp("The server ended again and again.");
        return { action: CloseAction.DoNotRestart, handled: true };
      },
    },
  };
}
