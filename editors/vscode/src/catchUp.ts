/**
 * Asks for what could not be answered: a suggestion for what was typed while the server was not ready.
 *
 * VS Code asks once an edit, and the next time with the next edit. Knows nothing of VS Code.
 */
import { type Display, isWaking } from "./state";

const SERVING: ReadonlySet<Display["state"]> = new Set(["ready", "busy", "indexing"]);

export class CatchUp {
  private before: Display | undefined;
  /** The document that was typed in. */
  private missed: string | undefined;

  /**
   * @param active Returns the active editor's document, undefined where there is none.
   * @param ask Asks for a suggestion in the active editor.
   */
  constructor(
    private readonly active: () => string | undefined,
    private readonly ask: () => void,
  ) {}

  /** Take up what the status bar says. */
  shown(display: Display): void {
    const { before, missed } = this;
    this.before = display;
    if (isWaking(display)) {
      // a request was at work, and its answer is lost
      this.missed = before?.state === "busy" ? this.active() : missed;
      return;
    }
    this.missed = undefined;
    if (missed !== undefined && SERVING.has(display.state) && missed === this.active()) {
      this.ask();
    }
  }

  /** Take up an edit of a document. */
  edited(document: string): void {
    if (this.before !== undefined && isWaking(this.before) && document === this.active()) {
      this.missed = document;
    }
  }
}
