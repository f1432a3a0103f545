/**
 * The server's progress bars, of which only one thing is used: indexing can be stopped.
 *
 * VS Code's own part of the language client shows each bar in the status bar, where Crosslight's item says the
 * same already.
 */
import {
  type BaseLanguageClient,
  type ClientCapabilities,
  type FeatureState,
  type ProgressToken,
  type StaticFeature,
  WorkDoneProgress,
  WorkDoneProgressCancelNotification,
  WorkDoneProgressCreateRequest,
} from "vscode-languageclient/node";

export class Bars implements StaticFeature {
  private readonly cancellable = new Set<ProgressToken>();

  constructor(private readonly client: BaseLanguageClient) {}

  fillClientCapabilities(capabilities: ClientCapabilities): void {
    capabilities.window = { ...capabilities.window, workDoneProgress: true };
  }

  initialize(): void {
    this.client.onRequest(WorkDoneProgressCreateRequest.type, ({ token }) => this.follow(token));
  }

  getState(): FeatureState {
    const registrations = this.cancellable.size > 0;
    return { kind: "window", id: WorkDoneProgressCreateRequest.method, registrations };
  }

  clear(): void {
    this.cancellable.clear();
  }

  /** Ask the server to stop whatever can be stopped. */
  async cancel(): Promise<void> {
    for (const token of this.cancellable) {
      await this.client.sendNotification(WorkDoneProgressCancelNotification.type, { token });
    }
  }

  private follow(token: ProgressToken): void {
    const listening = this.client.onProgress(WorkDoneProgress.type, token, (value) => {
      if (value.kind === "begin" && value.cancellable === true) {
        this.cancellable.add(token);
      } else if (value.kind === "end") {
        this.cancellable.delete(token);
        listening.dispose();
      }
    });
  }
}
