import assert from "node:assert/strict";
import test from "node:test";
import { Wakening } from "../src/wakening";

const ORDERS = { uri: "file:///shop/orders.py", version: 1 };

test("a window's first editor is woken, once", async () => {
  const commands: string[] = [];
  const wakening = new Wakening(async (command) => commands.push(command));
  await wakening.activated(undefined);
  assert.deepEqual(commands, []);
  await wakening.activated(ORDERS);
  await wakening.activated({ ...ORDERS, uri: "file:///shop/prices.py" });
  assert.deepEqual(commands, ["editor.action.inlineSuggest.triggerInlineEdit"]);
});

test("what is typed meanwhile is no request of the wakening", async () => {
  let end: (value: unknown) => void = () => undefined;
  const wakening = new Wakening(() => new Promise((resolve) => (end = resolve)));
  const woken = wakening.activated(ORDERS);
  assert.ok(wakening.asks(ORDERS));
  assert.ok(!wakening.asks({ ...ORDERS, version: 2 }));
  assert.ok(!wakening.asks({ ...ORDERS, uri: "file:///shop/prices.py" }));
  end(undefined);
  await woken;
  assert.ok(!wakening.asks(ORDERS));
});

test("a VS Code that does not know the command is left as it is", async () => {
  const wakening = new Wakening(async () => {
    throw new Error("command not found");
  });
  await wakening.activated(ORDERS);
  assert.ok(!wakening.asks(ORDERS));
});
