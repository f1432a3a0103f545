/** Which repository a suggestion was made in; its trace names files relative to that. */
import * as path from "node:path";
import { fileURLToPath } from "node:url";
import type { StatusAnswer } from "./protocol";

/**
 * Return the repository's folder, undefined where no open one has the file.
 *
 * @param file Relative to the repository.
 * @param status Names the repositories, and the document of the last request, which decides between several
 *   that have such a file.
 * @param exists Whether there is a file of that path.
 */
export function rootOf(
  file: string,
  status: StatusAnswer,
  exists: (file: string) => boolean,
): string | undefined {
  const last = status.last?.uri.startsWith("file:") ? fileURLToPath(status.last.uri) : undefined;
  const roots = status.repositories.map((one) => one.root);
  return (
    roots.find((root) => path.join(root, file) === last) ??
    roots.find((root) => exists(path.join(root, file)))
  );
}
