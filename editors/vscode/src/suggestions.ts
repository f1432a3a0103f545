/** What passes between VS Code and the server about suggestions: requests, and what became of the answers. */
import * as vscode from "vscode";
import type { Middleware } from "vscode-languageclient/node";
import type { CrosslightClient } from "./client";
import { type Fate, Feedback, type Offer } from "./feedback";
import { ACCEPT, DidPartiallyAcceptCompletion, DidShowCompletion, type ToldItem } from "./protocol";
import type { Wakening } from "./wakening";

/** A suggestion that stands for so long was seen. */
const SEEN_AFTER_MS = 100;
const MOST_KEPT = 64;

export class Suggestions implements vscode.Disposable {
  readonly middleware: Middleware = {
    provideInlineCompletionItems: async (document, position, context, token, next) => {
      if (
        context.triggerKind === vscode.InlineCompletionTriggerKind.Automatic &&
        this.wakening.asks(document)
      ) {
        return null;
      }
      const answer = await next(document, position, context, token);
      if (!token.isCancellationRequested) {
        this.answered(document, position, answer);
      }
      return answer;
    },
  };

  private readonly feedback = new Feedback((fate) => void this.report(fate));
  /** By id, as they were first answered. */
  private readonly items = new Map<string, ToldItem>();
  private readonly listening = vscode.workspace.onDidChangeTextDocument((event) => this.edited(event));
  private waiting: NodeJS.Timeout | undefined;

  /**
   * @param client Returns the client, once there is one.
   * @param onShown Called when a suggestion was seen.
   */
  constructor(
    private readonly log: vscode.LogOutputChannel,
    private readonly client: () => CrosslightClient | undefined,
    private readonly wakening: Wakening,
    private readonly onShown: (client: CrosslightClient) => Promise<void>,
  ) {}

  /** Tell the server that a whole suggestion was accepted. */
  async accepted(id: string): Promise<void> {
    this.feedback.withdrawn();
    this.log.debug(`accepted: ${id}`);
    const client = this.client();
    if (client?.isRunning()) {
      await client.execute(ACCEPT, id);
    }
  }

  dispose(): void {
    clearTimeout(this.waiting);
    this.listening.dispose();
  }

  private answered(
    document: vscode.TextDocument,
    position: vscode.Position,
    answer: vscode.InlineCompletionItem[] | vscode.InlineCompletionList | null | undefined,
  ): void {
    clearTimeout(this.waiting);
    const item = (Array.isArray(answer) ? answer : answer?.items)?.[0];
    const id: unknown = item?.command?.arguments?.[0];
    if (item === undefined || typeof id !== "string" || typeof item.insertText !== "string") {
      this.feedback.withdrawn();
      return;
    }
    const first = this.keep(id, item.insertText);
    const before = document.getText(new vscode.Range(item.range?.start ?? position, position));
    const offer: Offer = {
      id,
      uri: document.uri.toString(),
      version: document.version,
      offset: document.offsetAt(position),
      text: item.insertText.startsWith(before) ? item.insertText.slice(before.length) : item.insertText,
      first,
    };
    this.feedback.offered(offer);
    this.waiting = setTimeout(() => this.waited(document, position, id), SEEN_AFTER_MS);
  }

  /** A moment later: the suggestion is seen if the cursor still stands where it was asked for. */
  private waited(document: vscode.TextDocument, position: vscode.Position, id: string): void {
    const editor = vscode.window.activeTextEditor;
    if (editor?.document === document && editor.selection.active.isEqual(position)) {
      this.feedback.waited(id, document.version);
    }
  }

  private edited({ document, contentChanges }: vscode.TextDocumentChangeEvent): void {
    if (contentChanges.length > 0) {
      const changes = contentChanges.map(({ rangeOffset, text }) => ({ offset: rangeOffset, text }));
      this.feedback.edited(document.uri.toString(), document.version, changes);
    }
  }

  /** Remember an item, and return its text as it was first answered. */
  private keep(id: string, text: string): string {
    const known = this.items.get(id);
    if (known !== undefined) {
      return known.insertText;
    }
    this.items.set(id, { insertText: text, command: { title: "Accept", command: ACCEPT, arguments: [id] } });
    const [oldest] = this.items.keys();
    if (this.items.size > MOST_KEPT && oldest !== undefined) {
      this.items.delete(oldest);
    }
    return text;
  }

  private async report(fate: Fate): Promise<void> {
    const item = this.items.get(fate.id);
    const client = this.client();
    if (item === undefined || client === undefined || !client.isRunning()) {
      return;
    }
    if (fate.kind === "shown") {
      this.log.debug(`shown: ${fate.id}`);
      await client.sendNotification(DidShowCompletion, { item });
      await this.onShown(client);
    } else {
      this.log.debug(`partly accepted: ${fate.id} ${fate.length}`);
      await client.sendNotification(DidPartiallyAcceptCompletion, { item, acceptedLength: fate.length });
    }
  }
}
