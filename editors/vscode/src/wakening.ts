/**
 * Has VS Code make, at once, the part of an editor that asks for suggestions.
 *
 * It makes that part when a window is idle, up to five seconds after the first editor appeared, and what is
 * typed before asks nobody. Any command of that part makes it. Of those, most only run where a suggestion is
 * visible. This one always runs in a document that can be written to, and shows none: it asks all providers,
 * and drops what is no edit elsewhere. Versions of VS Code that do not know it are left as they are.
 */
const COMMAND = "editor.action.inlineSuggest.triggerInlineEdit";

/** A document in one of its versions. */
export interface Text {
  readonly uri: { toString(): string };
  readonly version: number;
}

export class Wakening {
  private isDone = false;
  private asked: { readonly uri: string; readonly version: number } | undefined;

  /** @param execute Runs a command of VS Code. */
  constructor(private readonly execute: (command: string) => PromiseLike<unknown>) {}

  /** Take up the active editor's document; only a window's first one is of interest. */
  async activated(document: Text | undefined): Promise<void> {
    if (document === undefined || this.isDone) {
      return;
    }
    this.isDone = true;
    this.asked = { uri: document.uri.toString(), version: document.version };
    try {
      await this.execute(COMMAND);
    } catch {
      // not known there: the first key may go unheard, as it did before
    } finally {
      this.asked = undefined;
    }
  }

  /** Whether a request that comes by itself is this one: nothing was typed, and its answer would be dropped. */
  asks(document: Text): boolean {
    const { asked } = this;
    return asked !== undefined && asked.version === document.version && asked.uri === document.uri.toString();
  }
}
