/** The machine that the extension runs on, for the search of programs. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as vscode from "vscode";
import type { Machine } from "./server";

/** @param ownFolder Where the extension keeps an installation of its own. */
export function thisMachine(ownFolder: string): Machine {
  return {
    platform: process.platform,
    env: process.env,
    home: os.homedir(),
    ownFolder,
    workspaceFolders: (vscode.workspace.workspaceFolders ?? [])
      .filter((folder) => folder.uri.scheme === "file")
      .map((folder) => folder.uri.fsPath),
    isExecutable,
    realPath,
  };
}

function isExecutable(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

function realPath(file: string): string {
  try {
    return fs.realpathSync(file);
  } catch {
    return file;
  }
}
