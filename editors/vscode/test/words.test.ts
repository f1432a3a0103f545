import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";
import { CrashCount } from "../src/crashes";
import { languageName } from "../src/languages";
import { menuItems, type Situation } from "../src/menu";
import { PAUSES, pauseArguments } from "../src/pause";
import type { StatusAnswer } from "../src/protocol";
import { rootOf } from "../src/roots";
import { display, NOTHING_KNOWN } from "../src/state";
import { statusText } from "../src/statusText";
import { isOlder } from "../src/versions";

const MANIFEST = JSON.parse(readFileSync("package.json", "utf8"));
const STATUS: StatusAnswer = {
  version: "0.1.0",
  model: { kind: "ready", message: "" },
  repositories: [
    { root: "/home/ada/shop", kind: "indexing", done: 3, total: 9, message: "" },
    { root: "/home/ada/bank", kind: "ready", done: 0, total: 0, message: "120 definitions" },
  ],
  paused: false,
  last: {
    uri: "file:///home/ada/bank/a.py",
    reason: null,
    explanation: null,
    source: "model",
    latencyMs: 181.3,
  },
};
const SITUATION: Situation = {
  display: display({
    ...NOTHING_KNOWN,
    server: "running",
    status: { kind: "Normal", busy: false, message: "" },
  }),
  isServerThere: true,
  isEnabled: true,
  isPaused: false,
  isModelMissing: false,
  language: "python",
  isLanguageOff: false,
};

test("the status is told in sentences", () => {
  assert.equal(
    statusText(STATUS),
    "Crosslight 0.1.0. model: ready. shop: indexing 3 of 9. bank: 120 definitions. last request: answered in 181 ms.",
  );
  const last = {
    ...STATUS.last,
    uri: "",
    reason: "improbable",
    explanation: "it was not sure",
    source: "",
    latencyMs: 1,
  };
  const text = statusText({ ...STATUS, repositories: [], paused: true, last });
  assert.match(text, /suggestions are paused\. last request: nothing, since it was not sure\.$/);
});

test("the repository of a suggestion is the one of the last request's document", () => {
  const both = () => true;
  assert.equal(rootOf("a.py", STATUS, both), "/home/ada/bank");
  assert.equal(rootOf("a.py", { ...STATUS, last: null }, both), "/home/ada/shop");
  assert.equal(
    rootOf("a.py", { ...STATUS, last: null }, () => false),
    undefined,
  );
});

test("a server is older by its first two numbers", () => {
  const older: [string, string, boolean][] = [
    ["0.1.0", "0.2.0", true],
    ["0.9.9", "1.0.0", true],
    ["0.2.0", "0.2.5", false],
    ["0.10.0", "0.9.0", false],
    ["1.0.0", "0.9.0", false],
    ["0.2.0.dev1", "0.2.0", false],
  ];
  for (const [version, wanted, expected] of older) {
    assert.equal(isOlder(version, wanted), expected, `${version} ${wanted}`);
  }
});

test("a server that ends again and again within three minutes is left alone", () => {
  let time = 0;
  const crashes = new CrashCount(() => time);
  assert.deepEqual(
    [1, 2, 3, 4, 5].map(() => crashes.mayRestart()),
    [true, true, true, true, false],
  );
  crashes.forget();
  assert.ok(crashes.mayRestart());
  for (let day = 1; day < 20; day++) {
    time = day * 60_000;
    assert.ok(crashes.mayRestart());
  }
});

test("a pause is for minutes, or until it is resumed", () => {
  assert.deepEqual(PAUSES.map(pauseArguments), [[true, 5], [true, 15], [true, 60], [true]]);
});

test("a language is called by the name that an extension gives it", () => {
  const extensions = [
    { packageJSON: {} },
    { packageJSON: { contributes: { languages: [{ id: "python" }] } } },
    { packageJSON: { contributes: { languages: [{ id: "python", aliases: ["Python", "py"] }] } } },
  ];
  assert.equal(languageName("python", extensions), "Python");
  assert.equal(languageName("other", extensions), "other");
});

test("the menu offers what the moment asks for", () => {
  const commands = (more: Partial<Situation>) =>
    menuItems({ ...SITUATION, ...more }).map((one) => one.command);
  const labels = (more: Partial<Situation>) =>
    menuItems({ ...SITUATION, ...more })
      .map((one) => one.label)
      .join();
  assert.equal(commands({ isServerThere: false })[0], "crosslight.install");
  assert.ok(!commands({}).includes("crosslight.stopIndexing"));
  const installing = display({ ...NOTHING_KNOWN, server: "missing", task: "installing" });
  const whileInstalling = commands({ display: installing, isServerThere: false });
  assert.equal(whileInstalling[0], "crosslight.showTerminal");
  assert.ok(!whileInstalling.includes("crosslight.install"));
  const indexing = display({
    ...NOTHING_KNOWN,
    server: "running",
    status: { kind: "Normal", busy: true, message: "indexing shop" },
  });
  assert.ok(commands({ display: indexing }).includes("crosslight.stopIndexing"));
  assert.match(labels({}), /Switch off for python/);
  assert.match(labels({ isLanguageOff: true }), /Switch on for python/);
  assert.doesNotMatch(labels({ language: undefined }), /python/);
  assert.match(labels({ isPaused: true }), /Resume/);
  assert.equal(commands({ isModelMissing: true })[0], "crosslight.pullModel");
  assert.match(labels({ isEnabled: false }), /Switch on,/);
});

test("every command of the manifest and of the menu is registered, and every walkthrough's page is there", () => {
  const source = readFileSync("src/commands.ts", "utf8");
  const inManifest: string[] = MANIFEST.contributes.commands.map((one: { command: string }) => one.command);
  const inMenu = menuItems({ ...SITUATION, isServerThere: false }).concat(menuItems(SITUATION));
  for (const command of [...inManifest, ...inMenu.map((one) => one.command)]) {
    assert.ok(source.includes(`"${command}"`), command);
  }
  const pages: string[] = MANIFEST.contributes.walkthroughs[0].steps.map(
    (step: { media: { markdown: string } }) => step.media.markdown,
  );
  assert.deepEqual(
    pages.sort(),
    readdirSync("media")
      .map((name) => `media/${name}`)
      .sort(),
  );
});

test("no lock of a package names a host", () => {
  const lock = JSON.parse(readFileSync("package-lock.json", "utf8"));
  const resolved = Object.values<{ resolved?: string }>(lock.packages).filter(
    (one) => one.resolved !== undefined,
  );
  assert.deepEqual(resolved, []);
});
