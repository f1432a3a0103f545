/** For how long suggestions may be paused. */

export interface PauseChoice {
  readonly label: string;
  /** Undefined until the user resumes them. */
  readonly minutes: number | undefined;
}

export const PAUSES: readonly PauseChoice[] = [
  { label: "For 5 minutes", minutes: 5 },
  { label: "For 15 minutes", minutes: 15 },
  { label: "For 1 hour", minutes: 60 },
  { label: "Until I resume", minutes: undefined },
];

/** Return the arguments of the server's `crosslight.pause`. */
export function pauseArguments({ minutes }: PauseChoice): readonly [true] | readonly [true, number] {
  return minutes === undefined ? [true] : [true, minutes];
}
