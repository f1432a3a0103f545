/**
 * What the status bar says, from all that is known; no more than that.
 */

export type State =
  "starting" | "ready" | "busy" | "warming" | "indexing" | "off" | "working" | "missing" | "error";

/** What is run in a terminal before the user's eyes. */
export type Task = "installing" | "fetching the model";

/** The server's `didChangeStatus`. */
export interface ServerStatus {
  readonly kind: "Normal" | "Warning" | "Error" | "Inactive";
  readonly busy: boolean;
  readonly message: string;
}

/** All that the status bar depends on. */
export interface Facts {
  readonly server: "starting" | "running" | "missing" | "failed";
  /** What the user started and waits for. */
  readonly task: Task | undefined;
  /** Why there is no server. */
  readonly cause: string;
  /** As the server last told it. */
  readonly status: ServerStatus | undefined;
  /** `editor.inlineSuggest.enabled`: without it VS Code asks nobody. */
  readonly inlineSuggest: boolean;
  /** The language of the active editor, where it is switched off. */
  readonly languageOff: string | undefined;
}

export interface Display {
  readonly state: State;
  readonly icon: string;
  /** What stands behind the icon. */
  readonly text: string;
  /** A sentence or two. */
  readonly detail: string;
}

/** The engine rests, and the next edit wakes it. */
const ASLEEP = "Crosslight: asleep";
const DEFAULT_MODEL = "qwen2.5-coder-0.5b";

export const NOTHING_KNOWN: Facts = {
  server: "starting",
  task: undefined,
  cause: "",
  status: undefined,
  inlineSuggest: true,
  languageOff: undefined,
};

/** Return what a screen reader says of it: of what is wrong also the cause, which others find in the tooltip. */
export function spoken({ state, text, detail }: Display): string {
  if (state === "error" || state === "missing") {
    return `${text}, ${detail}`;
  }
  return text === "Crosslight" ? `Crosslight: ${state}` : text;
}

/** Return what the status bar says; what the user must act on comes first, then what they decided. */
export function display(facts: Facts): Display {
  const { status, task } = facts;
  if (task !== undefined) {
    return show("working", `Crosslight: ${task}…`, "The terminal shows how far it is.");
  }
  if (facts.server === "missing") {
    return show("missing", "Crosslight: not installed", facts.cause);
  }
  if (facts.server === "failed") {
    return show("error", "Crosslight: error", facts.cause);
  }
  const absence = status?.kind === "Error" ? modelAbsence(status.message) : undefined;
  if (absence !== undefined) {
    return show("missing", "Crosslight: no model", absence);
  }
  if (status?.kind === "Error") {
    return show("error", "Crosslight: error", status.message);
  }
  return switchedOff(facts) ?? atWork(facts);
}

/** Whether the model is there and loaded; of one that is only starting or at rest that is not known. */
export function isModelReady({ kind, busy, message }: ServerStatus): boolean {
  return kind === "Normal" && !(busy && /^(starting|loading)/.test(message));
}

/** Whether the server is not ready yet, but is about to be. */
export function isWaking({ state, text }: Display): boolean {
  return state === "starting" || state === "warming" || text === ASLEEP;
}

/** Whether the user may resume what they paused or cancelled. */
export function isPaused({ status }: Facts): boolean {
  return status?.kind === "Inactive" && /^(paused|loading)/.test(status.message);
}

/**
 * Return the arguments that make the server fetch the model whose lack it told, undefined where it told none.
 *
 * @param text What the server told; it names its own command, in backquotes.
 */
export function modelCommand(text: string): string[] | undefined {
  return /`crosslight (model pull(?: [\w.-]+)*)`/.exec(text)?.[1]?.split(" ");
}

/**
 * Return a sentence for whoever has not fetched the model yet, undefined where something else is wrong.
 *
 * @param text What the server told.
 */
export function modelAbsence(text: string): string | undefined {
  const name = /^(?:the )?model '([^']+)' is not installed: run `crosslight model pull/i.exec(text)?.[1];
  if (name === undefined) {
    return undefined;
  }
  const size = name === DEFAULT_MODEL ? " (491 MB)" : "";
  return `The model is not there yet: fetch ${name}${size} once.`;
}

function switchedOff({ status, inlineSuggest, languageOff }: Facts): Display | undefined {
  if (status?.kind === "Inactive") {
    const word = ["paused", "ended"].find((one) => status.message.startsWith(one));
    const text = { paused: "Crosslight: paused", ended: ASLEEP }[word ?? ""] ?? "Crosslight: off";
    return show("off", text, sentence(`Suggestions while typing: ${status.message}`));
  }
  if (!inlineSuggest) {
    return show("off", "Crosslight: off", "VS Code's own setting editor.inlineSuggest.enabled is off.");
  }
  if (languageOff !== undefined) {
    return show("off", `Crosslight: off for ${languageOff}`, "This language is switched off.");
  }
  return undefined;
}

function atWork({ server, status }: Facts): Display {
  if (server === "starting" || status === undefined) {
    return show("starting", "Crosslight: starting", "The server is starting.");
  }
  const { busy, message } = status;
  if (busy && message.startsWith("starting")) {
    return show("starting", "Crosslight: starting", sentence(message));
  }
  if (busy && message.startsWith("loading")) {
    return show("warming", "Crosslight: warming up", sentence(message));
  }
  if (busy && isIndexing(message)) {
    const numbers = [...message.matchAll(/(\d+) %/g)].map((match) => Number(match[1]));
    const far = numbers.length > 0 ? ` ${Math.min(...numbers)} %` : "";
    return show("indexing", `Crosslight: indexing${far}`, `${sentence(message)} Suggestions come meanwhile.`);
  }
  if (busy) {
    return show("busy", "Crosslight", "A suggestion is being made.");
  }
  return show("ready", "Crosslight", message === "" ? "Ready." : sentence(message));
}

/** Whether an index is being made, and its end not only being told. */
function isIndexing(message: string): boolean {
  return message.startsWith("indexing ") && !message.endsWith(" was cancelled");
}

function sentence(message: string): string {
  return `${message.charAt(0).toUpperCase()}${message.slice(1)}${/[.!?]$/.test(message) ? "" : "."}`;
}

const ICONS: Readonly<Record<State, string>> = {
  starting: "$(loading~spin)",
  ready: "$(check)",
  busy: "$(loading~spin)",
  warming: "$(loading~spin)",
  indexing: "$(sync~spin)",
  off: "$(circle-slash)",
  working: "$(sync~spin)",
  missing: "$(cloud-download)",
  error: "$(error)",
};

function show(state: State, text: string, detail: string): Display {
  return { state, icon: ICONS[state], text, detail };
}
