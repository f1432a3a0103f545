"""The exceptions of `indexer`.

IndexerError
├── RootError             the repository's folder is missing, not a folder, or not readable
├── StoreError            the catalogue or the vector store cannot be opened or written
│   ├── LockedError       another process holds the repository's index
│   └── DamagedStoreError a file of the index is damaged; it is moved aside and made again
├── DiskSpaceError        not enough room on the disk
└── WorkerError           the index worker cannot be started, or died while it was asked

A user's broken code is data and never raises. Cancellation is not an error.
"""

from pathlib import Path


class IndexerError(Exception):
    """Base of all errors of this package; its text is fit to be shown to a user as one line."""


class RootError(IndexerError):
    """The repository's folder is missing, not a folder, or not readable."""


class StoreError(IndexerError):
    """The catalogue or the vector store cannot be opened or written."""


class LockedError(StoreError):
    """Another process holds the index of this repository."""


class DamagedStoreError(StoreError):
    """A file of the index is damaged; what it held can be made again from the repository."""

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(message)
        self.path = path
        """The catalogue's file, or the vector store's folder."""


class DiskSpaceError(IndexerError):
    """There is not enough room on the disk."""


class WorkerError(IndexerError):
    """The index worker cannot be started, or died while it was asked."""
