import assert from "node:assert/strict";
import test from "node:test";
import { installPlan } from "../src/install";
import { machineWith } from "./machine";

const WHEEL = "/extensions/crosslight/server/crosslight-0.1.0-py3-none-any.whl";
const OWN = "/home/ada/.vscode/storage/server";

const never = async () => false;
const always = async () => true;

test("uv installs before pipx, and pipx before Python", async () => {
  const uv = "/home/ada/.local/bin/uv";
  const all = machineWith([uv, "/usr/bin/pipx", "/usr/bin/python3"]);
  assert.deepEqual(await installPlan(WHEEL, all, always), {
    by: "uv",
    commands: [[uv, "tool", "install", "--force", WHEEL]],
  });
  const two = machineWith(["/usr/bin/pipx", "/usr/bin/python3"]);
  assert.deepEqual(await installPlan(WHEEL, two, always), {
    by: "pipx",
    commands: [["/usr/bin/pipx", "install", "--force", WHEEL]],
  });
});

test("without either, a Python that is fit makes an environment of the extension's own", async () => {
  const machine = machineWith(["/usr/bin/python3.11", "/usr/bin/python3"]);
  const asked: string[] = [];
  const plan = await installPlan(WHEEL, machine, async (python) => {
    asked.push(python);
    return python === "/usr/bin/python3";
  });
  assert.deepEqual(asked, ["/usr/bin/python3.11", "/usr/bin/python3"]);
  assert.deepEqual(plan?.commands, [
    ["/usr/bin/python3", "-m", "venv", "--clear", OWN],
    [`${OWN}/bin/python`, "-m", "pip", "install", "--disable-pip-version-check", WHEEL],
  ]);
});

test("nothing in an open folder installs anything", async () => {
  const machine = machineWith(["/home/ada/shop/bin/uv", "/home/ada/shop/bin/python3"], {
    env: { PATH: "/home/ada/shop/bin" },
  });
  assert.equal(await installPlan(WHEEL, machine, always), undefined);
});

test("a machine whose Python is too old cannot install it", async () => {
  assert.equal(await installPlan(WHEEL, machineWith(["/usr/bin/python3"]), never), undefined);
});
