/** What the server tells the user, with a button for what they can do about it. */
import * as vscode from "vscode";
import { MessageType, type ShowMessageParams } from "vscode-languageclient/node";
import { modelAbsence, modelCommand } from "./state";

/** Show a message of the server. */
export async function showMessage({ type, message }: ShowMessageParams): Promise<void> {
  const choices = modelCommand(message) !== undefined ? { "Fetch the Model": "crosslight.pullModel" } : {};
  const all: Record<string, string> = { ...choices, "Show Log": "crosslight.showLog" };
  const absence = modelAbsence(message);
  const show =
    absence === undefined && type === MessageType.Error
      ? vscode.window.showErrorMessage
      : absence !== undefined || type === MessageType.Warning
        ? vscode.window.showWarningMessage
        : vscode.window.showInformationMessage;
  const chosen = await show(absence === undefined ? message : `Crosslight: ${absence}`, ...Object.keys(all));
  const command = chosen === undefined ? undefined : all[chosen];
  if (command !== undefined) {
    await vscode.commands.executeCommand(command);
  }
}
