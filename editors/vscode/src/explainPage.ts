/**
 * The page that shows where a suggestion came from, as a string of HTML.
 *
 * It runs no script and loads nothing; each definition is a link to a command. Whatever comes from files is
 * escaped. Knows nothing of VS Code.
 */
import type { RetrievedDefinition, Trace } from "./protocol";

export const OPEN_DEFINITION = "crosslight.openDefinition";

/**
 * Return the page.
 *
 * @param trace Of the suggestion; null before the first one.
 * @param fileOf Returns the absolute path of a file of the repository; undefined where that is not known.
 * @param nonce Allows the page's own style, and nothing else.
 */
export function explainPage(
  trace: Trace | null,
  fileOf: (path: string) => string | undefined,
  nonce: string,
): string {
  const body = trace === null ? '<p id="empty">Nothing was suggested yet.</p>' : content(trace, fileOf);
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'nonce-${nonce}'">
<title>Crosslight</title>
<style nonce="${nonce}">${STYLE}</style>
</head>
<body>
${body}
</body>
</html>`;
}

/** Return the text with everything escaped that means something in HTML. */
export function escaped(text: string): string {
  const entities: Record<string, string> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
  };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}

function content(trace: Trace, fileOf: (path: string) => string | undefined): string {
  const { request, text, retrieved, sources, retrieval_notes: notes } = trace;
  const suggestion = text === "" ? "(nothing)" : text;
  const why =
    trace.suppression_reason === null
      ? ""
      : `<p class="note">Not shown: ${escaped(trace.suppression_reason)}.</p>`;
  const byShare = retrieved.toSorted((a, b) => (b.attention_share ?? -1) - (a.attention_share ?? -1));
  const list = byShare.map((one) => definition(one, fileOf)).join("\n");
  const none = retrieved.length === 0 ? '<p class="note">No definition of the repository was used.</p>' : "";
  return `<h1>${escaped(request.path)}:${request.line}</h1>
<pre id="suggestion">${escaped(suggestion)}</pre>
${why}
<h2>Definitions that it was read from</h2>
<p class="note">The bar is a definition's share of the attention on all of them.</p>
<ol id="definitions">
${list}
</ol>
${none}${notes.map((note) => `<p class="note">${escaped(note)}</p>`).join("\n")}
${names(sources, retrieved)}
<p id="phases" class="note">${phases(trace)}</p>`;
}

function definition(one: RetrievedDefinition, fileOf: (path: string) => string | undefined): string {
  const share = one.attention_share ?? 0;
  const percent = one.attention_share === null ? "not measured" : inPercent(share);
  const place = `<b>${escaped(one.qualified_name)}</b> <span class="place">${escaped(one.path)}:${one.line}</span>`;
  const file = fileOf(one.path);
  const link = file === undefined ? place : `<a class="open" href="${openLink(file, one.line)}">${place}</a>`;
  const title = [...one.reasons, `${one.n_tokens} tokens`, ...(one.memory === null ? [] : [one.memory])].join(
    "; ",
  );
  const leftOut = one.memory === "left out" ? " (left out: there was no time for it)" : "";
  return `<li class="definition">
<div class="head">${link}<span class="percent">${percent}</span></div>
<svg class="share" role="img" aria-label="${percent}"><rect width="${(100 * share).toFixed(1)}%" height="100%"/></svg>
<div class="reasons" title="${escaped(title)}">${escaped(one.reasons.map(inWords).join("; "))}${leftOut}</div>
</li>`;
}

/** Return why a definition was found, as people say it; the server tells `retriever #rank: detail`. */
function inWords(reason: string): string {
  const detail = reason.replace(/^(symbol|bm25|vector) #\d+: */, "");
  return detail
    .replace(/^terms: /, "shares the words ")
    .replace(/^terms in /, "shares words in ")
    .replace(/^cosine /, "similar in meaning: ");
}

function names(sources: Trace["sources"], retrieved: readonly RetrievedDefinition[]): string {
  const rows = sources.map(({ text, rank, share }) => {
    const from = retrieved.find((one) => one.rank === rank)?.qualified_name ?? `definition ${rank}`;
    return `<tr><td><code>${escaped(text)}</code></td><td>${escaped(from)}</td><td class="percent">${inPercent(share)}</td></tr>`;
  });
  return rows.length === 0
    ? ""
    : `<h2>Names that it wrote</h2>
<p class="note">Each with the definition that the model looked at most, and that one's share of all attention.</p>
<table id="names">${rows.join("")}</table>`;
}

function phases(trace: Trace): string {
  const times = Object.entries(trace.phases_ms).map(([phase, ms]) => `${phase} ${Math.round(ms)} ms`);
  return escaped([...times, `${trace.model} on ${trace.provider}`].join(" · "));
}

function openLink(file: string, line: number): string {
  return escaped(`command:${OPEN_DEFINITION}?${encodeURIComponent(JSON.stringify([file, line]))}`);
}

function inPercent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

const STYLE = `
body { color: var(--vscode-foreground); background: var(--vscode-editor-background);
  font-family: var(--vscode-font-family); font-size: var(--vscode-font-size); max-width: 60em; padding: 0 1em; }
h1, h2 { font-weight: 600; font-size: 1.15em; margin: 1.4em 0 0.5em; }
h2 { font-size: 1em; }
pre, code { font-family: var(--vscode-editor-font-family); font-size: var(--vscode-editor-font-size); }
pre { background: var(--vscode-textCodeBlock-background); padding: 0.7em; white-space: pre-wrap; tab-size: 4; }
td { padding: 0.1em 1.5em 0.1em 0; }
ol { padding-left: 1.6em; }
li { margin-bottom: 0.7em; }
.head { display: flex; justify-content: space-between; gap: 1em; }
a { color: var(--vscode-textLink-foreground); text-decoration: none; }
a:hover { text-decoration: underline; }
.place, .reasons, .note { color: var(--vscode-descriptionForeground); }
.reasons { font-size: 0.9em; }
.percent { white-space: nowrap; }
.share { display: block; width: 100%; height: 6px; margin: 3px 0; background: var(--vscode-editorWidget-background); }
.share rect { fill: var(--vscode-progressBar-background); }
`;
