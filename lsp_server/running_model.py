"""A loaded model with what completions need of it."""

from __future__ import annotations

from dataclasses import dataclass

from model.memory_bank import MemoryBank
from model.types import Decoder, Provider, TokenCodec

__all__ = ["RunningModel"]


@dataclass(frozen=True, slots=True)
class RunningModel:
    """A loaded model, ready to complete."""

    name: str
    provider: Provider
    codec: TokenCodec
    decoder: Decoder
    bank: MemoryBank | None = None
    """Of the model's memories; None where definitions are only ever pasted into the prompt."""

    def forget_memories(self) -> None:
        """Drop the definitions that were encoded with this model, on the disk too."""
        if self.bank is not None:
            self.bank.clear()

    def close(self) -> None:
        """Write what waits to be written."""
        if self.bank is not None:
            self.bank.close()
