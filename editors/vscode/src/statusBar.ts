/** The status bar item. */
import * as vscode from "vscode";
import { type Display, spoken } from "./state";

export class StatusBar implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem("status", vscode.StatusBarAlignment.Right, 100);

  constructor() {
    this.item.name = "Crosslight";
    this.item.command = "crosslight.menu";
    this.item.show();
  }

  show(display: Display): void {
    const { state, icon, text, detail } = display;
    this.item.text = `${icon} ${text}`;
    this.item.tooltip = `Crosslight: ${detail}`;
    this.item.accessibilityInformation = { label: spoken(display), role: "button" };
    const colour = { error: "errorBackground", missing: "warningBackground" }[state as string];
    this.item.backgroundColor =
      colour === undefined ? undefined : new vscode.ThemeColor(`statusBarItem.${colour}`);
  }

  dispose(): void {
    this.item.dispose();
  }
}
