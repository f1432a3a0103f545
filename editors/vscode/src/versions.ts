/** Versions as three numbers; what follows them does not count. */

/** Whether a version is older than another, as far as users notice: a patch is not. */
export function isOlder(version: string, wanted: string): boolean {
  const [major, minor] = numbers(version);
  const [wantedMajor, wantedMinor] = numbers(wanted);
  return major !== wantedMajor ? major < wantedMajor : minor < wantedMinor;
}

function numbers(version: string): [number, number] {
  const match = /^(\d+)\.(\d+)/.exec(version);
  return [Number(match?.[1] ?? 0), Number(match?.[2] ?? 0)];
}
