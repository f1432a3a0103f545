"""What an evaluation may be asked for, by name; a command offers these without importing anything heavy."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = ["ARMS", "DRAWN_KINDS", "Arm", "DrawnKind"]

DrawnKind = Literal["cross-file", "line", "block"]
DRAWN_KINDS: tuple[DrawnKind, ...] = get_args(DrawnKind)
"""Kinds of cases that can be drawn; `draw.py` says what each is."""

Arm = Literal["off", "concatenated", "memories"]
ARMS: tuple[Arm, ...] = get_args(Arm)
"""`off`: from the file alone. `concatenated`: the six best definitions stand in the prompt, before the file.
`memories`: as users have it, definitions are attended to as memories."""
