"""What an editor's status bar says: one short line, whether something goes on, and how bad it is. Pure.

In the shape that Copilot's language server made known (`didChangeStatus`). Of several things that could be
said, the one comes first that explains best why there are no suggestions.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from lsp_server.server.indexing import IndexState
from lsp_server.server.model_thread import ModelState

__all__ = ["Status", "status_of"]


@dataclass(frozen=True, slots=True)
class Status:
    """A status as it is sent."""

    kind: Literal["Normal", "Warning", "Error", "Inactive"]
    busy: bool
    """Whether something is loaded, indexed or completed."""
    message: str
    """Empty where there is nothing to say."""


def status_of(
    model: ModelState, indexes: Collection[IndexState], *, inactive: str = "", is_completing: bool = False
) -> Status:
    """Return what an editor is told.

    Args:
        model: Whether it can be asked.
        indexes: Of the repositories that the editor has open.
        inactive: Why no suggestions come while typing; empty if they do.
        is_completing: Whether the model is at work for this editor.
    """
    indexing = sorted((one for one in indexes if one.kind == "indexing"), key=lambda one: one.root.name)
    busy = model.kind == "loading" or bool(indexing) or is_completing
    if model.kind in {"missing", "failed"}:
        return Status("Error", busy, model.message)
    if inactive or model.kind == "cancelled":
        return Status("Inactive", busy, inactive or model.message)
    if model.kind == "loading":
        return Status("Normal", busy, "loading the model")
    if indexing:
        return Status("Normal", busy, f"indexing {', '.join(map(_how_far, indexing))}")
    failed, given_up = (
        next((one for one in indexes if one.kind == k), None) for k in ("failed", "cancelled")
    )
    if failed is not None:
        return Status("Warning", busy, f"{failed.root.name} cannot be indexed: {failed.message}")
    return Status("Normal", busy, f"indexing {given_up.root.name} was cancelled" if given_up else "")


def _how_far(index: IndexState) -> str:
    percentage = index.percentage
    return index.root.name if percentage is None else f"{index.root.name}: {percentage} %"
