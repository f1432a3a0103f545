import assert from "node:assert/strict";
import test from "node:test";
import {
  display,
  isModelReady,
  isPaused,
  modelAbsence,
  modelCommand,
  type Facts,
  NOTHING_KNOWN,
  type ServerStatus,
  spoken,
  type State,
} from "../src/state";
import { Store } from "../src/store";

function status(message: string, busy = false, kind: ServerStatus["kind"] = "Normal"): ServerStatus {
  return { kind, busy, message };
}

const READY = status("");
const ABSENT =
  "the model 'qwen2.5-coder-0.5b' is not installed: run `crosslight model pull qwen2.5-coder-0.5b`";

const cases: readonly [string, Partial<Facts>, State, string][] = [
  ["nothing known yet", { server: "starting" }, "starting", "Crosslight: starting"],
  ["connected, nothing told yet", {}, "starting", "Crosslight: starting"],
  ["ready", { status: READY }, "ready", "Crosslight"],
  ["completing", { status: status("", true) }, "busy", "Crosslight"],
  ["another engine", { status: status("starting another engine", true) }, "starting", "Crosslight: starting"],
  ["loading", { status: status("loading the model", true) }, "warming", "Crosslight: warming up"],
  ["indexing, no number yet", { status: status("indexing shop", true) }, "indexing", "Crosslight: indexing"],
  ["indexing", { status: status("indexing shop: 42 %", true) }, "indexing", "Crosslight: indexing 42 %"],
  [
    "indexing two",
    { status: status("indexing shop: 42 %, bank: 7 %", true) },
    "indexing",
    "Crosslight: indexing 7 %",
  ],
  ["indexing was stopped", { status: status("indexing shop was cancelled") }, "ready", "Crosslight"],
  ["a warning", { status: status("shop cannot be indexed: full", false, "Warning") }, "ready", "Crosslight"],
  ["paused", { status: status("paused, 5 min left", false, "Inactive") }, "off", "Crosslight: paused"],
  [
    "switched off",
    { status: status("switched off in the editor's settings", false, "Inactive") },
    "off",
    "Crosslight: off",
  ],
  [
    "the engine ended",
    { status: status("ended; starts again with the next edit", false, "Inactive") },
    "off",
    "Crosslight: asleep",
  ],
  ["off in VS Code", { status: READY, inlineSuggest: false }, "off", "Crosslight: off"],
  ["off for a language", { status: READY, languageOff: "python" }, "off", "Crosslight: off for python"],
  ["a model that cannot be loaded", { status: status("torn", false, "Error") }, "error", "Crosslight: error"],
  ["no model yet", { status: status(ABSENT, false, "Error") }, "missing", "Crosslight: no model"],
  ["not installed", { server: "missing", cause: "None." }, "missing", "Crosslight: not installed"],
  [
    "being installed",
    { server: "missing", cause: "None.", task: "installing" },
    "working",
    "Crosslight: installing…",
  ],
  [
    "the model being fetched",
    { status: status(ABSENT, false, "Error"), task: "fetching the model" },
    "working",
    "Crosslight: fetching the model…",
  ],
  ["given up", { server: "failed", cause: "It ended.", status: READY }, "error", "Crosslight: error"],
];

for (const [name, facts, state, text] of cases) {
  test(`the status bar: ${name}`, () => {
    const shown = display({ ...NOTHING_KNOWN, server: "running", ...facts });
    assert.equal(shown.state, state);
    assert.equal(shown.text, text);
    assert.notEqual(shown.detail, "");
  });
}

test("what is paused is not drowned by what is at work", () => {
  const facts: Facts = { ...NOTHING_KNOWN, server: "running", status: status("paused", true, "Inactive") };
  assert.equal(display(facts).state, "off");
});

test("the status bar is drawn only when it changes", () => {
  const drawn: string[] = [];
  const store = new Store(({ text, state }) => drawn.push(`${text} ${state}`));
  store.update({ server: "running", status: READY });
  store.update({ status: { ...READY } });
  store.update({ languageOff: undefined });
  store.update({ status: status("", true) });
  assert.deepEqual(drawn, ["Crosslight: starting starting", "Crosslight ready", "Crosslight busy"]);
});

test("what was paused or cancelled can be resumed, what the settings say cannot", () => {
  const facts = (message: string): Facts => ({
    ...NOTHING_KNOWN,
    status: status(message, false, "Inactive"),
  });
  assert.ok(isPaused(facts("paused, 5 min left")));
  assert.ok(isPaused(facts("loading the model was cancelled; resume to load it")));
  assert.ok(!isPaused(facts("switched off in the editor's settings")));
  assert.ok(!isPaused({ ...NOTHING_KNOWN, status: READY }));
});

test("what a missing model is fetched by is read off what the server told, and nothing else is", () => {
  const cases: [string, string[] | undefined][] = [
    [
      "it is not installed: run `crosslight model pull qwen2.5-coder-0.5b`",
      ["model", "pull", "qwen2.5-coder-0.5b"],
    ],
    ["it is missing: run `crosslight model pull --force`", ["model", "pull", "--force"]],
    ["`crosslight model pull fine --force` here", ["model", "pull", "fine", "--force"]],
    ["run `crosslight model pull /path/to/them`", undefined],
    ["run `crosslight model pull a; rm b`", undefined],
    ["it cannot be loaded", undefined],
  ];
  for (const [text, expected] of cases) {
    assert.deepEqual(modelCommand(text), expected, text);
  }
});

test("whoever has no model yet is told what to fetch, in words of their own", () => {
  assert.equal(modelAbsence(ABSENT), "The model is not there yet: fetch qwen2.5-coder-0.5b (491 MB) once.");
  const other = ABSENT.replaceAll("qwen2.5-coder-0.5b", "other");
  assert.equal(modelAbsence(other), "The model is not there yet: fetch other once.");
  assert.equal(modelAbsence("its files are damaged: run `crosslight model pull other --force`"), undefined);
});

test("the model is ready once the server says so, not while it starts, loads or rests", () => {
  assert.ok(isModelReady(READY));
  assert.ok(isModelReady(status("indexing shop: 42 %", true)));
  assert.ok(!isModelReady(status("starting the engine", true)));
  assert.ok(!isModelReady(status("loading the model", true)));
  assert.ok(!isModelReady(status("paused", false, "Inactive")));
  assert.ok(!isModelReady(status("it is not installed", false, "Error")));
});

test("a screen reader says the state, and of an error the cause", () => {
  const said = (facts: Partial<Facts>) => spoken(display({ ...NOTHING_KNOWN, server: "running", ...facts }));
  assert.equal(said({ status: READY }), "Crosslight: ready");
  assert.equal(said({ status: status("indexing shop: 42 %", true) }), "Crosslight: indexing 42 %");
  assert.equal(
    said({ server: "missing", cause: "It is not installed." }),
    "Crosslight: not installed, It is not installed.",
  );
});
