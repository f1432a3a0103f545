/** The panel that shows where the last suggestion came from, and the way to each definition. */
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import * as vscode from "vscode";
import type { CrosslightClient } from "./client";
import { explainPage, OPEN_DEFINITION } from "./explainPage";
import type { StatusAnswer, Trace } from "./protocol";
import { rootOf } from "./roots";

export class Explanation implements vscode.Disposable {
  private panel: vscode.WebviewPanel | undefined;

  /** Ask for the last suggestion and show it beside the code. */
  async show(client: CrosslightClient): Promise<void> {
    const html = await this.page(client);
    this.open().webview.html = html;
  }

  /** Another suggestion was shown: where the panel is in sight, it shows that one. */
  async refresh(client: CrosslightClient): Promise<void> {
    if (this.panel?.visible) {
      const html = await this.page(client);
      if (this.panel !== undefined) {
        this.panel.webview.html = html;
      }
    }
  }

  dispose(): void {
    this.panel?.dispose();
  }

  private async page(client: CrosslightClient): Promise<string> {
    const trace = await client.execute<Trace | null>("crosslight.explainLast");
    const status = await client.execute<StatusAnswer>("crosslight.status");
    const root = trace === null ? undefined : rootOf(trace.request.path, status, fs.existsSync);
    const fileOf = (relative: string) => (root === undefined ? undefined : path.join(root, relative));
    return explainPage(trace, fileOf, randomBytes(16).toString("base64"));
  }

  private open(): vscode.WebviewPanel {
    if (this.panel !== undefined) {
      this.panel.reveal(undefined, true);
      return this.panel;
    }
    const place = { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true };
    const panel = vscode.window.createWebviewPanel(
      "crosslight.explain",
      "Crosslight: Last Suggestion",
      place,
      {
        enableScripts: false,
        enableCommandUris: [OPEN_DEFINITION],
        localResourceRoots: [],
      },
    );
    panel.onDidDispose(() => {
      this.panel = undefined;
    });
    this.panel = panel;
    return panel;
  }
}

/** Open a file at a line, counted from 1, in the column where code is. */
export async function openDefinition(file: unknown, line: unknown): Promise<void> {
  if (typeof file !== "string" || typeof line !== "number") {
    return;
  }
  const position = new vscode.Position(Math.max(0, line - 1), 0);
  const viewColumn = vscode.window.visibleTextEditors[0]?.viewColumn ?? vscode.ViewColumn.One;
  const selection = new vscode.Range(position, position);
  await vscode.window.showTextDocument(vscode.Uri.file(file), { selection, viewColumn });
}
