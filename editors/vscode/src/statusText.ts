/** The server's own account of itself, in sentences. */
import type { StatusAnswer } from "./protocol";

/** Return what the server told, one sentence a subject. */
export function statusText(answer: StatusAnswer): string {
  const { model, repositories, last } = answer;
  const sentences = [`Crosslight ${answer.version}`, `model: ${model.message || model.kind}`];
  for (const { root, kind, done, total, message } of repositories) {
    const far = kind === "indexing" && total > 0 ? ` ${done} of ${total}` : "";
    sentences.push(`${baseName(root)}: ${message || kind}${far}`);
  }
  if (answer.paused) {
    sentences.push("suggestions are paused");
  }
  if (last !== null) {
    const how =
      last.reason === null
        ? `answered in ${Math.round(last.latencyMs)} ms`
        : `nothing, since ${last.explanation ?? last.reason}`;
    sentences.push(`last request: ${how}`);
  }
  return sentences
    .map((one) => one.replace(/\.$/, ""))
    .map((one) => `${one}.`)
    .join(" ");
}

function baseName(root: string): string {
  return root.split(/[\\/]/).filter(Boolean).at(-1) ?? root;
}
