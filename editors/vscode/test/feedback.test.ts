import assert from "node:assert/strict";
import test from "node:test";
import { type Change, type Fate, Feedback } from "../src/feedback";

const URI = "file:///shop/orders.py";

/** A suggestion at offset 100, then edits, each `[offset, text]`; returns what was told. */
function fates(text: string, edits: readonly (readonly [number, string])[], first = text): Fate[] {
  const told: Fate[] = [];
  const feedback = new Feedback((fate) => told.push(fate));
  feedback.offered({ id: "a", uri: URI, version: 1, offset: 100, text, first });
  edits.forEach(([offset, inserted], index) => {
    feedback.edited(URI, index + 2, [{ offset, text: inserted }]);
  });
  return told;
}

const SHOWN: Fate = { kind: "shown", id: "a" };

function partly(length: number): Fate {
  return { kind: "partly accepted", id: "a", length };
}

const cases: readonly {
  name: string;
  text: string;
  first?: string;
  edits: readonly (readonly [number, string])[];
  told: readonly Fate[];
}[] = [
  { name: "a word", text: "total + tax", edits: [[100, "total"]], told: [SHOWN, partly(5)] },
  {
    name: "a word after another",
    text: "total + tax",
    edits: [
      [100, "total"],
      [105, " +"],
    ],
    told: [SHOWN, partly(5), partly(7)],
  },
  {
    name: "a word after two keys counts from the beginning",
    text: "total + tax",
    edits: [
      [100, "t"],
      [101, "o"],
      [102, "tal"],
    ],
    told: [SHOWN, partly(5)],
  },
  {
    name: "what was typed before it was offered counts",
    text: "tal + tax",
    first: "total + tax",
    edits: [[100, "tal"]],
    told: [SHOWN, partly(5)],
  },
  { name: "a line", text: "a\n    b", edits: [[100, "a\n"]], told: [SHOWN, partly(2)] },
  {
    name: "a line of a document with CR LF",
    text: "a\n    b",
    edits: [[100, "a\r\n"]],
    told: [SHOWN, partly(2)],
  },
  {
    name: "a line of a suggestion with CR LF is as long as the server wrote it",
    text: "a\r\n    b\r\nc",
    edits: [
      [100, "a\r\n"],
      [103, "    b"],
    ],
    told: [SHOWN, partly(3), partly(8)],
  },
  { name: "characters of two units", text: "'😀' + x", edits: [[100, "'😀'"]], told: [SHOWN, partly(4)] },
  { name: "a key accepts nothing", text: "total", edits: [[100, "t"]], told: [] },
  { name: "a key of two units accepts nothing", text: "😀 x", edits: [[100, "😀"]], told: [] },
  { name: "a pair that the editor closes accepts nothing", text: "()", edits: [[100, "()"]], told: [] },
  { name: "Enter with its indentation accepts nothing", text: "\n    x", edits: [[100, "\n    "]], told: [] },
  { name: "all of it is told by its command", text: "total", edits: [[100, "total"]], told: [] },
  {
    name: "another text ends it",
    text: "total",
    edits: [
      [100, "x"],
      [101, "tot"],
    ],
    told: [],
  },
  {
    name: "an edit elsewhere ends it",
    text: "total",
    edits: [
      [3, "tot"],
      [103, "tot"],
    ],
    told: [],
  },
  {
    name: "a deletion ends it",
    text: "total",
    edits: [
      [100, ""],
      [100, "tot"],
    ],
    told: [],
  },
];

for (const { name, text, first, edits, told } of cases) {
  test(`partly accepted: ${name}`, () => {
    assert.deepEqual(fates(text, edits, first), told);
  });
}

test("a suggestion whose cursor still waits was shown, once", () => {
  const told: Fate[] = [];
  const feedback = new Feedback((fate) => told.push(fate));
  const offer = { id: "a", uri: URI, version: 1, offset: 100, text: "total", first: "total" };
  feedback.offered(offer);
  feedback.waited("a", 1);
  feedback.edited(URI, 2, [{ offset: 100, text: "t" }]);
  feedback.offered({ ...offer, version: 2, offset: 101, text: "otal" });
  feedback.waited("a", 2);
  assert.deepEqual(told, [SHOWN]);
});

test("a suggestion that was typed past, or replaced, was not shown", () => {
  const told: Fate[] = [];
  const feedback = new Feedback((fate) => told.push(fate));
  const offer = { id: "a", uri: URI, version: 1, offset: 100, text: "total", first: "total" };
  feedback.offered(offer);
  feedback.waited("a", 2);
  feedback.waited("b", 1);
  feedback.withdrawn();
  feedback.waited("a", 1);
  assert.deepEqual(told, []);
});

test("edits of other documents, and of several places at once, accept nothing", () => {
  const told: Fate[] = [];
  const feedback = new Feedback((fate) => told.push(fate));
  feedback.offered({ id: "a", uri: URI, version: 1, offset: 100, text: "total", first: "total" });
  feedback.edited("file:///shop/prices.py", 2, [{ offset: 100, text: "tot" }]);
  const both: Change[] = [
    { offset: 100, text: "tot" },
    { offset: 300, text: "tot" },
  ];
  feedback.edited(URI, 2, both);
  feedback.edited(URI, 3, [{ offset: 100, text: "tot" }]);
  assert.deepEqual(told, []);
});
