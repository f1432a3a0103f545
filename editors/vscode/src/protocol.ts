/** What is sent beyond the standard protocol; the server's documentation says what each means. */
import { NotificationType } from "vscode-languageclient/node";
import type { ServerStatus } from "./state";

/** An inline completion as the server is told of it: it goes by the id in the command. */
export interface ToldItem {
  readonly insertText: string;
  readonly command: {
    readonly title: string;
    readonly command: string;
    readonly arguments: readonly [string];
  };
}

export const DidChangeStatus = new NotificationType<ServerStatus>("didChangeStatus");
export const DidShowCompletion = new NotificationType<{ item: ToldItem }>("textDocument/didShowCompletion");
export const DidPartiallyAcceptCompletion = new NotificationType<{ item: ToldItem; acceptedLength: number }>(
  "textDocument/didPartiallyAcceptCompletion",
);

/** Run by VS Code when a whole suggestion was accepted; its argument is the suggestion's id. */
export const ACCEPT = "crosslight.didAcceptCompletion";

/** The answer to `crosslight.status`, as far as it is used here. */
export interface StatusAnswer {
  readonly version: string;
  readonly model: { readonly kind: string; readonly message: string };
  readonly repositories: readonly {
    readonly root: string;
    readonly kind: string;
    readonly done: number;
    readonly total: number;
    readonly message: string;
  }[];
  readonly paused: boolean;
  readonly last: {
    readonly uri: string;
    readonly reason: string | null;
    readonly explanation: string | null;
    readonly source: string;
    readonly latencyMs: number;
  } | null;
}

/** The answer to `crosslight.explainLast`, as far as it is used here. */
export interface Trace {
  readonly request: { readonly path: string; readonly line: number; readonly column: number };
  readonly text: string;
  readonly suppression_reason: string | null;
  readonly retrieved: readonly RetrievedDefinition[];
  readonly retrieval_notes: readonly string[];
  readonly sources: readonly { readonly text: string; readonly rank: number; readonly share: number }[];
  readonly phases_ms: Readonly<Record<string, number>>;
  readonly model: string;
  readonly provider: string;
}

export interface RetrievedDefinition {
  readonly rank: number;
  /** Relative to the repository. */
  readonly path: string;
  /** Counted from 1. */
  readonly line: number;
  readonly kind: string;
  readonly qualified_name: string;
  readonly reasons: readonly string[];
  readonly n_tokens: number;
  readonly attention_share: number | null;
  readonly memory: string | null;
}
