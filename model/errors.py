"""The exceptions of `model`.

ModelError
├── CatalogError          an unknown model name, a catalog file that does not parse
├── DownloadError         a source could not be reached, ended early, or gave wrong bytes
│   └── ChecksumError     the bytes are not the pinned ones
├── DiskSpaceError        not enough room, found before or while writing
├── StoreError            the models folder cannot be read or written
├── ConversionError       weights that cannot be made into a decoder (architecture, damage, types)
├── NotInstalledError     the model that is asked for is not on this machine
├── DamagedModelError     an installed folder lacks files or holds wrong ones
├── DamagedMemoryError    bytes that are not the memory that is wanted; never leaves the memory store
├── ProviderError         an execution provider that was asked for cannot be had
└── TrainingError         cases or a checkpoint that training cannot go on from

Each message says what happened, where, and what to do. Cancellation is not an error.
"""


class ModelError(Exception):
    """Base of all errors of this package; its text is fit to be shown to a user as one line."""


class CatalogError(ModelError):
    """A model name is unknown, or a catalog file is not readable."""


class DownloadError(ModelError):
    """A source could not be reached, ended early, or gave wrong bytes."""


class ChecksumError(DownloadError):
    """The downloaded bytes are not those that were pinned."""


class DiskSpaceError(ModelError):
    """There is not enough room on the disk."""


class StoreError(ModelError):
    """The folder of the installed models cannot be read or written."""


class ConversionError(ModelError):
    """The weights cannot be made into a decoder."""


class NotInstalledError(ModelError):
    """The model that is asked for is not on this machine."""


class DamagedModelError(ModelError):
    """An installed model folder lacks files or holds other bytes than its manifest says."""


class DamagedMemoryError(ModelError):
    """Bytes are not a memory, or not the one that is wanted; who finds it goes without."""


class ProviderError(ModelError):
    """An execution provider that was asked for cannot be had."""


class TrainingError(ModelError):
    """Training cannot begin or go on: its cases, its checkpoint or its folder are not what they should be."""


class Cancelled(Exception):  # noqa: N818 - it is a way to stop, not an error
    """A run was ended from another thread; what it had appended before is still whole."""
