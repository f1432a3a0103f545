/** What the menu of the status bar item offers, by what is the case. */
import type { Display, State } from "./state";

export interface MenuItem {
  readonly label: string;
  readonly description?: string;
  readonly command: string;
}

/** What the menu depends on. */
export interface Situation {
  readonly display: Display;
  readonly isServerThere: boolean;
  readonly isEnabled: boolean;
  readonly isPaused: boolean;
  readonly isModelMissing: boolean;
  /** The name of the active editor's; undefined where there is none. */
  readonly language: string | undefined;
  readonly isLanguageOff: boolean;
}

/** Return the entries, those first that mend what is wrong. */
export function menuItems(situation: Situation): MenuItem[] {
  const { display, isServerThere, isEnabled, isPaused, isModelMissing, language, isLanguageOff } = situation;
  if (display.state === "working") {
    return [
      {
        label: "$(terminal) Show the terminal",
        description: display.text,
        command: "crosslight.showTerminal",
      },
      ...always(display.state),
    ];
  }
  if (!isServerThere) {
    return [
      {
        label: "$(cloud-download) Install the server",
        description: display.detail,
        command: "crosslight.install",
      },
      ...always(display.state),
    ];
  }
  const items: MenuItem[] = [];
  if (isModelMissing) {
    items.push({ label: "$(cloud-download) Fetch the model", command: "crosslight.pullModel" });
  }
  items.push({ label: "$(search) Explain the last suggestion", command: "crosslight.explainLast" });
  items.push({ label: "$(info) Show the status", command: "crosslight.status" });
  if (display.state === "indexing") {
    items.push({ label: "$(stop-circle) Stop indexing", command: "crosslight.stopIndexing" });
  }
  items.push(
    isPaused
      ? { label: "$(debug-start) Resume suggestions", command: "crosslight.pause" }
      : { label: "$(debug-pause) Pause suggestions…", command: "crosslight.pause" },
  );
  if (language !== undefined) {
    const label = isLanguageOff
      ? `$(check) Switch on for ${language}`
      : `$(circle-slash) Switch off for ${language}`;
    items.push({ label, command: "crosslight.toggleLanguage" });
  }
  items.push(
    isEnabled
      ? { label: "$(circle-slash) Switch off everywhere", command: "crosslight.toggle" }
      : { label: "$(check) Switch on", command: "crosslight.toggle" },
  );
  items.push({ label: "$(refresh) Reindex", command: "crosslight.reindex" });
  return [...items, ...always(display.state)];
}

function always(state: State): MenuItem[] {
  const restart =
    state === "error" ? "$(debug-restart) Start the server again" : "$(debug-restart) Restart the server";
  return [
    ...(state === "working" ? [] : [{ label: restart, command: "crosslight.restart" }]),
    { label: "$(output) Show the log", command: "crosslight.showLog" },
    { label: "$(gear) Settings", command: "crosslight.settings" },
  ];
}
