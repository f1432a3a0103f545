import assert from "node:assert/strict";
import test from "node:test";
import { findServer, isInWorkspace, type Machine, type Search } from "../src/server";
import { machineWith } from "./machine";

const LOCAL = "/home/ada/.local/bin/crosslight";
const OWN = "/home/ada/.vscode/storage/server/bin/crosslight";

const found: readonly { name: string; programs: readonly string[]; more?: Partial<Machine>; file: string }[] =
  [
    { name: "pipx's and uv's usual folder", programs: [LOCAL, "/usr/bin/crosslight"], file: LOCAL },
    {
      name: "the folder that pipx was told",
      programs: ["/opt/tools/crosslight", LOCAL],
      more: { env: { PIPX_BIN_DIR: "/opt/tools" } },
      file: "/opt/tools/crosslight",
    },
    {
      name: "the folder that uv was told",
      programs: ["/opt/tools/crosslight", LOCAL],
      more: { env: { UV_TOOL_BIN_DIR: "/opt/tools" } },
      file: "/opt/tools/crosslight",
    },
    {
      name: "pipx's environment, where its programs were not linked",
      programs: ["/home/ada/.local/share/pipx/venvs/crosslight/bin/crosslight"],
      file: "/home/ada/.local/share/pipx/venvs/crosslight/bin/crosslight",
    },
    {
      name: "uv's environment",
      programs: ["/data/uv/tools/crosslight/bin/crosslight"],
      more: { env: { XDG_DATA_HOME: "/data" } },
      file: "/data/uv/tools/crosslight/bin/crosslight",
    },
    { name: "the extension's own, before PATH", programs: [OWN, "/usr/bin/crosslight"], file: OWN },
    { name: "PATH", programs: ["/usr/bin/crosslight"], file: "/usr/bin/crosslight" },
    {
      name: "on Windows",
      programs: ["C:\\Users\\ada\\.local\\bin\\crosslight.exe"],
      more: { platform: "win32", home: "C:\\Users\\ada", workspaceFolders: ["C:\\shop"] },
      file: "C:\\Users\\ada\\.local\\bin\\crosslight.exe",
    },
    {
      name: "on Windows, in PATH",
      programs: ["D:\\tools\\crosslight.exe"],
      more: {
        platform: "win32",
        home: "C:\\Users\\ada",
        workspaceFolders: [],
        env: { Path: "C:\\Windows;D:\\tools" },
      },
      file: "D:\\tools\\crosslight.exe",
    },
  ];

for (const { name, programs, more, file } of found) {
  test(`the server is found in ${name}`, () => {
    assert.deepEqual(findServer("", machineWith(programs, more)), { kind: "found", file });
  });
}

test("nothing in an open folder is ever run, nor what links into one", () => {
  const venv = "/home/ada/shop/.venv/bin";
  const machine = machineWith([`${venv}/crosslight`, [LOCAL, `${venv}/crosslight`], "/usr/bin/crosslight"], {
    env: { PATH: `${venv}:/usr/bin` },
  });
  assert.deepEqual(findServer("", machine), { kind: "found", file: "/usr/bin/crosslight" });
});

test("a server that was refused is named", () => {
  const file = "/home/ada/shop/.venv/bin/crosslight";
  const machine = machineWith([file], { env: { PATH: "/home/ada/shop/.venv/bin" } });
  assert.deepEqual(findServer("", machine), { kind: "missing", refused: [file] });
});

test("a folder that is open through a link is open", () => {
  const machine = machineWith([["/home/ada/shop", "/data/shop"]]);
  assert.ok(isInWorkspace("/data/shop/bin/crosslight", machine));
  assert.ok(!isInWorkspace("/data/shop-tools/crosslight", machine));
});

test("folders of PATH that depend on where a program is started are left out", () => {
  const machine = machineWith(["bin/crosslight", "crosslight"], { env: { PATH: ".:bin::" } });
  assert.deepEqual(findServer("", machine), { kind: "missing", refused: [] });
});

const settings: readonly { setting: string; kind: Search["kind"]; more?: string }[] = [
  { setting: "/opt/crosslight", kind: "found", more: "/opt/crosslight" },
  { setting: " ~/.local/bin/crosslight ", kind: "found", more: LOCAL },
  { setting: "bin/crosslight", kind: "unusable", more: "absolute" },
  { setting: "crosslight", kind: "unusable", more: "absolute" },
  { setting: "/opt/gone", kind: "unusable", more: "/opt/gone" },
];

for (const { setting, kind, more } of settings) {
  test(`the setting ${JSON.stringify(setting)} decides: ${kind}`, () => {
    const search = findServer(setting, machineWith([LOCAL, "/opt/crosslight"]));
    assert.equal(search.kind, kind);
    assert.ok(JSON.stringify(search).includes(more ?? ""));
  });
}
