/** The settings of the extension, and those of them that are the server's. */
import * as vscode from "vscode";

const SECTION = "crosslight";
/** The extension's own: where the server is. */
export const SERVER_PATH = `${SECTION}.serverPath`;

/** One part of `contributes.configuration`. */
interface Part {
  readonly properties: Readonly<Record<string, unknown>>;
}

/** Return the names of the server's settings, as the extension's manifest declares them. */
export function serverSettingNames(manifest: { contributes: { configuration: readonly Part[] } }): string[] {
  return manifest.contributes.configuration
    .flatMap((part) => Object.keys(part.properties))
    .filter((name) => name !== SERVER_PATH)
    .map((name) => name.slice(SECTION.length + 1));
}

/** Return the values of the server's settings. */
export function serverSettings(names: readonly string[]): Record<string, unknown> {
  const settings = vscode.workspace.getConfiguration(SECTION);
  return Object.fromEntries(names.map((name) => [name, settings.get(name)]));
}

export function serverPath(): string {
  return vscode.workspace.getConfiguration(SECTION).get<string>("serverPath", "");
}

export function isEnabled(): boolean {
  return vscode.workspace.getConfiguration(SECTION).get("enabled", true);
}

/** Switch suggestions on or off, where the setting was made that holds. */
export async function setEnabled(enabled: boolean): Promise<void> {
  await write("enabled", enabled);
}

export function disabledLanguages(): readonly string[] {
  return vscode.workspace.getConfiguration(SECTION).get<string[]>("disabledLanguages", []);
}

/** Switch suggestions in one language on or off. */
export async function setLanguageEnabled(language: string, enabled: boolean): Promise<void> {
  const others = disabledLanguages().filter((one) => one !== language);
  await write("disabledLanguages", enabled ? others : [...others, language]);
}

/** A value in the workspace's settings would win over one in the user's, so it is changed there. */
async function write(name: string, value: unknown): Promise<void> {
  const settings = vscode.workspace.getConfiguration(SECTION);
  const isOfWorkspace = settings.inspect(name)?.workspaceValue !== undefined;
  const target = isOfWorkspace ? vscode.ConfigurationTarget.Workspace : vscode.ConfigurationTarget.Global;
  await settings.update(name, value, target);
}
