/** The status bar item. */
import * as vscode from "vscode";
import type { Display } from "./state";

export class StatusBar implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem("status", vscode.StatusBarAlignment.Right, 100);

  constructor() {
    this.item.name = "Crosslight";
    this.item.command = "crosslight.menu";
    this.item.show();
  }

  show({ state, icon, text, detail }: Display): void {
    const hasOwnText = text !== "Crosslight";
    this.item.text = `${icon} ${text}`;
    this.item.tooltip = `Crosslight: ${detail}`;
    this.item.accessibilityInformation = {
      label: hasOwnText ? text : `Crosslight: ${state}`,
      role: "button",
    };
    this.item.backgroundColor =
      state === "error" ? new vscode.ThemeColor("statusBarItem.errorBackground") : undefined;
  }

  dispose(): void {
    this.item.dispose();
  }
}
