/**
 * What becomes of suggestions, told from edits: seen, or accepted in part.
 *
 * VS Code tells an extension neither; only the acceptance of a whole suggestion is known, since it runs the
 * suggestion's command. A suggestion counts as seen when the cursor still waits where it was offered a moment
 * later. An edit that inserts its beginning, and more of it than a key would, accepted that much of it.
 * Knows nothing of VS Code, nor of the protocol; the clock is the caller's.
 */

/** A suggestion as it was offered at a cursor. */
export interface Offer {
  /** The suggestion's; what is left of it while it is typed keeps it. */
  readonly id: string;
  readonly uri: string;
  /** Of the document that it was made for. */
  readonly version: number;
  /** The cursor, in UTF-16 units from the document's start. */
  readonly offset: number;
  /** What of it comes behind the cursor. */
  readonly text: string;
  /** All of it, as it was first offered under this id. */
  readonly first: string;
}

/** One replacement of an edit. */
export interface Change {
  /** In UTF-16 units from the document's start, before the edit. */
  readonly offset: number;
  readonly text: string;
}

/** What was found out; lengths in UTF-16 units from the start of the text as it was first offered. */
export type Fate =
  | { readonly kind: "shown"; readonly id: string }
  | { readonly kind: "partly accepted"; readonly id: string; readonly length: number };

/** What editors close by themselves: a key that opens one of these inserts both. */
const PAIRS: ReadonlySet<string> = new Set(["()", "[]", "{}", "<>", '""', "''", "``"]);

export class Feedback {
  private current: Offer | undefined;
  private readonly seen = new Set<string>();

  /** @param report Told what was found out. */
  constructor(private readonly report: (fate: Fate) => void) {}

  /** Take up a suggestion that the editor was given. */
  offered(offer: Offer): void {
    this.current = { ...offer, text: withLineFeeds(offer.text) };
  }

  /** Forget the suggestion: the editor was given none, or it was accepted. */
  withdrawn(): void {
    this.current = undefined;
  }

  /** A moment after a suggestion was offered: the cursor still waits where it was asked for. */
  waited(id: string, version: number): void {
    const { current } = this;
    if (current?.id === id && current.version === version) {
      this.tellShown(id);
    }
  }

  /** Take up an edit of a document. */
  edited(uri: string, version: number, changes: readonly Change[]): void {
    const { current } = this;
    if (current?.uri !== uri) {
      return;
    }
    const [change] = changes;
    const inserted = withLineFeeds(change?.text ?? "");
    const goesOn = inserted !== "" && current.text.startsWith(inserted) && change?.offset === current.offset;
    if (changes.length !== 1 || change === undefined || !goesOn) {
      this.current = undefined;
      return;
    }
    const text = current.text.slice(inserted.length);
    // in the document, a line's end is as long as the document's are
    this.current = { ...current, version, text, offset: current.offset + change.text.length };
    if (text !== "" && !isKey(inserted)) {
      this.tellShown(current.id);
      const length = lengthBefore(text, current.first);
      this.report({ kind: "partly accepted", id: current.id, length });
    }
  }

  private tellShown(id: string): void {
    if (!this.seen.has(id)) {
      this.seen.add(id);
      this.report({ kind: "shown", id });
    }
  }
}

/** Whether one key inserts this: a character, a pair that the editor closes, Enter or Tab with indentation. */
function isKey(inserted: string): boolean {
  return [...inserted].length <= 1 || PAIRS.has(inserted) || inserted.trim() === "";
}

/** The length of what stands before the rest of a text, in the text's own units. */
function lengthBefore(rest: string, text: string): number {
  let length = text.length;
  for (const character of [...rest].reverse()) {
    const isLineEnd = character === "\n" && text.slice(0, length).endsWith("\r\n");
    length -= isLineEnd ? 2 : character.length;
  }
  return Math.max(0, length);
}

/** Offers and edits may differ in their line ends. */
function withLineFeeds(text: string): string {
  return text.replace(/\r\n?/g, "\n");
}
