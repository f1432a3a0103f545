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

/** How the titles of those begin that show the making of an index. */
const INDEXING = "Crosslight: indexing";

export class Bars implements StaticFeature {
  private readonly indexing = new Set<ProgressToken>();

  constructor(private readonly client: BaseLanguageClient) {}

  fillClientCapabilities(capabilities: ClientCapabilities): void {
    capabilities.window = { ...capabilities.window, workDoneProgress: true };
  }

  initialize(): void {
    this.client.onRequest(WorkDoneProgressCreateRequest.type, ({ token }) => this.follow(token));
  }

  getState(): FeatureState {
    const registrations = this.indexing.size > 0;
    return { kind: "window", id: WorkDoneProgressCreateRequest.method, registrations };
  }

  clear(): void {
    this.indexing.clear();
  }

  /** Ask the server to stop indexing. */
  async stopIndexing(): Promise<void> {
    for (const token of this.indexing) {
      await this.client.sendNotification(WorkDoneProgressCancelNotification.type, { token });
    }
  }

  private follow(token: ProgressToken): void {
    const listening = this.client.onProgress(WorkDoneProgress.type, token, (value) => {
      if (value.kind === "begin" && value.title.startsWith(INDEXING)) {
        this.indexing.add(token);
      } else if (value.kind === "end") {
        this.indexing.delete(token);
        listening.dispose();
      }
    });
  }
}
