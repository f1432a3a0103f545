import assert from "node:assert/strict";
import test from "node:test";
import { CatchUp } from "../src/catchUp";
import { display, type Facts, NOTHING_KNOWN } from "../src/state";

function shown(message: string, busy: boolean, kind: "Normal" | "Inactive" = "Normal") {
  const facts: Facts = { ...NOTHING_KNOWN, server: "running", status: { kind, busy, message } };
  return display(facts);
}

const READY = shown("", false);
const BUSY = shown("", true);
const STARTING = shown("starting another engine", true);
const WARMING = shown("loading the model", true);
const ASLEEP = shown("ended; starts again with the next edit", false, "Inactive");
const PAUSED = shown("paused", false, "Inactive");
const EDIT = "edit";

const cases: readonly [string, readonly (ReturnType<typeof shown> | typeof EDIT)[], number][] = [
  ["typed while it started", [READY, STARTING, EDIT, WARMING, READY], 1],
  ["typed twice", [STARTING, EDIT, EDIT, READY, BUSY, READY], 1],
  ["typed while it slept", [ASLEEP, EDIT, STARTING, WARMING, BUSY], 1],
  ["at work when the engine ended", [READY, BUSY, STARTING, READY], 1],
  ["nothing was typed", [READY, STARTING, WARMING, READY], 0],
  ["typed while it was ready", [READY, EDIT, STARTING, READY], 0],
  ["paused meanwhile", [STARTING, EDIT, PAUSED, READY], 0],
];

for (const [name, events, n] of cases) {
  test(`what was missed is asked for once: ${name}`, () => {
    let nAsked = 0;
    const catchUp = new CatchUp(
      () => "a.py",
      () => nAsked++,
    );
    for (const event of events) {
      if (event === EDIT) {
        catchUp.edited("a.py");
      } else {
        catchUp.shown(event);
      }
    }
    assert.equal(nAsked, n);
  });
}

test("nothing is asked in another editor than the one that was typed in", () => {
  let active: string | undefined = "a.py";
  let nAsked = 0;
  const catchUp = new CatchUp(
    () => active,
    () => nAsked++,
  );
  catchUp.shown(STARTING);
  catchUp.edited("output"); // not the active editor's
  catchUp.shown(READY);
  catchUp.shown(STARTING);
  catchUp.edited("a.py");
  active = undefined;
  catchUp.shown(READY);
  assert.equal(nAsked, 0);
});
