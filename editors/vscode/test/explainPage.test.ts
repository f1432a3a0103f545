import assert from "node:assert/strict";
import test from "node:test";
import { explainPage } from "../src/explainPage";
import type { RetrievedDefinition, Trace } from "../src/protocol";

const DEFINITION: RetrievedDefinition = {
  rank: 1,
  path: "shop/prices.py",
  line: 7,
  kind: "function",
  qualified_name: "price_of",
  reasons: ["symbol #1: imported", "bm25 #3: terms: price"],
  n_tokens: 40,
  attention_share: 0.28,
  memory: "warm",
};
const TRACE: Trace = {
  request: { path: "shop/orders.py", line: 12, column: 9 },
  text: "price_of(item)",
  suppression_reason: null,
  retrieved: [DEFINITION],
  retrieval_notes: [],
  sources: [{ text: "price_of", rank: 1, share: 0.14 }],
  phases_ms: { prefill: 12.4, total: 181.6 },
  model: "qwen2.5-coder-0.5b",
  provider: "cpu",
};

function page(trace: Trace | null): string {
  return explainPage(trace, (file) => `/home/ada/${file}`, "bm9uY2U=");
}

test("the page allows its own style and nothing else", () => {
  const html = page(TRACE);
  assert.match(html, /content="default-src 'none'; style-src 'nonce-bm9uY2U='"/);
  assert.doesNotMatch(html, /<script|\son\w+=|https?:|\sstyle=/);
});

test("each definition is shown with its share and opened by a click", () => {
  const html = page(TRACE);
  assert.match(html, /<rect width="28\.0%"/);
  assert.match(html, /<span class="percent">28 %<\/span>/);
  const link = /href="command:crosslight\.openDefinition\?([^"]+)"/.exec(html)?.[1] ?? "";
  assert.deepEqual(JSON.parse(decodeURIComponent(link)), ["/home/ada/shop/prices.py", 7]);
  assert.match(html, /<code>price_of<\/code><\/td><td>price_of<\/td><td class="percent">14 %/);
});

test("the definition that was looked at most comes first, and each says why in words", () => {
  const other = { ...DEFINITION, rank: 2, qualified_name: "tax_of", attention_share: 0.5 };
  const unmeasured = { ...DEFINITION, rank: 3, qualified_name: "rate_of", attention_share: null };
  const html = page({ ...TRACE, retrieved: [unmeasured, DEFINITION, other] });
  assert.deepEqual(
    [...html.matchAll(/<b>(\w+)<\/b>/g)].map((match) => match[1]),
    ["tax_of", "price_of", "rate_of"],
  );
  assert.match(html, />imported; shares the words price<\/div>/);
  assert.match(html, /title="symbol #1: imported; bm25 #3: terms: price; 40 tokens; warm"/);
});

test("what comes from files is text, never markup", () => {
  const evil = `<img src=x onerror="alert('x')">&`;
  const trace: Trace = {
    ...TRACE,
    text: evil,
    request: { ...TRACE.request, path: evil },
    retrieved: [{ ...DEFINITION, path: `${evil}"'`, qualified_name: evil, reasons: [evil] }],
    retrieval_notes: [evil],
    sources: [{ text: evil, rank: 1, share: 0.1 }],
    suppression_reason: evil,
    model: evil,
  };
  const html = page(trace);
  assert.doesNotMatch(html, /<img/);
  assert.ok(html.includes("&lt;img src=x onerror=&quot;alert(&#39;x&#39;)&quot;&gt;&amp;"));
});

test("a share that was not measured is said, and a repository that is not known has no links", () => {
  const trace: Trace = { ...TRACE, retrieved: [{ ...DEFINITION, attention_share: null, memory: null }] };
  const html = explainPage(trace, () => undefined, "bm9uY2U=");
  assert.match(html, /not measured/);
  assert.doesNotMatch(html, /<a /);
});

test("before the first suggestion, the page says so", () => {
  assert.match(page(null), /<p id="empty">/);
});

test("a suggestion without definitions says so", () => {
  assert.match(page({ ...TRACE, retrieved: [], sources: [] }), /No definition of the repository was used/);
});
