"""The program that people and editors start: command line, server, and what joins index and model."""

from typing import Final

__version__: Final = "0.1.0"
"""Said here too since the installed metadata takes 40 ms to ask, and an editor waits for it."""
