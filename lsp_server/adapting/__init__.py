"""From repositories to training cases: where cursors are put, what is retrieved for them, what is refused."""
