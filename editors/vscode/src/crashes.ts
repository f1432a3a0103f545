/** How often the server may end by itself before it is left alone. */

const MOST_RESTARTS = 4;
const WITHIN_MS = 3 * 60 * 1000;

export class CrashCount {
  private readonly times: number[] = [];

  /** @param now Returns the time in milliseconds. */
  constructor(private readonly now: () => number = Date.now) {}

  /** Count a crash, and return whether the server is worth another start. */
  mayRestart(): boolean {
    const time = this.now();
    this.times.push(time);
    while (time - (this.times[0] ?? time) > WITHIN_MS) {
      this.times.shift();
    }
    return this.times.length <= MOST_RESTARTS;
  }

  /** The user asked for a start. */
  forget(): void {
    this.times.length = 0;
  }
}
