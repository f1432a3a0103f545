/** What VS Code calls a language, which it tells only in the manifests of extensions. */

/** An extension, as far as it is of interest. */
export interface Contributor {
  readonly packageJSON: {
    readonly contributes?: {
      readonly languages?: readonly { readonly id: string; readonly aliases?: readonly string[] }[];
    };
  };
}

/**
 * Return a language's name: `Python`.
 *
 * @param id The language's: `python`, which is also what is returned where no extension names it.
 * @param extensions All that are there.
 */
export function languageName(id: string, extensions: readonly Contributor[]): string {
  for (const { packageJSON } of extensions) {
    const languages = packageJSON.contributes?.languages;
    const name = Array.isArray(languages)
      ? languages.find((one) => one.id === id && one.aliases?.[0])?.aliases[0]
      : undefined;
    if (typeof name === "string") {
      return name;
    }
  }
  return id;
}
