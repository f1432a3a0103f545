/** All that the status bar depends on, in one place; whoever shows it hears of each change. */
import { type Display, display, type Facts, NOTHING_KNOWN } from "./state";

export class Store {
  private current: Facts = NOTHING_KNOWN;
  private shown: Display = display(NOTHING_KNOWN);

  /** @param show Called with what is to be shown, whenever that changes. */
  constructor(private readonly show: (display: Display) => void) {
    show(this.shown);
  }

  get facts(): Facts {
    return this.current;
  }

  get display(): Display {
    return this.shown;
  }

  /** Take up news. */
  update(news: Partial<Facts>): void {
    this.current = { ...this.current, ...news };
    const next = display(this.current);
    const { shown } = this;
    if (next.state !== shown.state || next.text !== shown.text || next.detail !== shown.detail) {
      this.shown = next;
      this.show(next);
    }
  }
}
