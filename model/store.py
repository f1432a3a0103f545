"""The models that are installed on this machine, and how they get there.

How the folder is laid out and kept whole is in `shelf.py`, where weights come from in `obtain.py`. This file
knows neither how weights become a decoder nor how a decoder runs.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from model.adapter import check_adapter, read_adapter_facts
from model.catalog import CatalogEntry, load_catalog
from model.disk import (
    disk_errors,
    folder_bytes,
    human_bytes,
    require_free,
    sha256_of,
    sync_folder,
)
from model.errors import CatalogError, ConversionError, DamagedModelError, NotInstalledError
from model.manifest import read_manifest
from model.obtain import Obtained, obtain
from model.shelf import Shelf
from model.sources import (
    CatalogSource,
    LocalSource,
    Source,
    identify,
    weights_sha256,
)
from model.types import Manifest, OnProgress, Progress, Quantization

AdapterChoice = Literal["auto", "none"] | Path
"""A low-rank adapter to merge at import: `auto` takes the one that the catalog names, if any."""

AdapterKind = Literal["shipped", "another", "none"]
"""What was merged into a model: the adapter that comes with Crosslight, another one, or none."""

_PACKAGE_DATA = Path(__file__).with_name("data")


class Convert(Protocol):
    """`model.importer.convert`: makes a model of the weights at `source` in the empty folder `target`."""

    def __call__(  # noqa: D102, PLR0913 - the class says it; keyword arguments cannot be mixed up
        self,
        source: Path,
        target: Path,
        *,
        name: str,
        source_label: str,
        source_sha256: str,
        licence: str,
        quantization: Quantization,
        adapter: Path | None,
        on_progress: Callable[[str, float], None],
    ) -> Manifest: ...


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model that can be loaded."""

    name: str
    folder: Path
    manifest: Manifest
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Order:
    """A pull with all choices made."""

    source: Source
    adapter: Path | None
    quantization: Quantization | None
    on_progress: OnProgress
    keep_weights: bool


class ModelStore:
    """Lists, checks, removes and pulls models in one folder, safely against other processes that do the same.

    Args:
        models_dir: Where the models lie; made when something is pulled.
        catalog: The models known by name; the shipped catalog by default.
        convert: What makes a decoder of weights; the importer by default, which is loaded only when needed.
    """

    def __init__(
        self,
        models_dir: Path,
        *,
        catalog: Mapping[str, CatalogEntry] | None = None,
        convert: Convert | None = None,
    ) -> None:
        self.models_dir = models_dir
        self._shelf = Shelf(models_dir)
        self._catalog = load_catalog() if catalog is None else catalog
        self._convert = convert

    def list(self) -> tuple[InstalledModel, ...]:
        """Return the models that can be loaded, by name; of damaged ones `find` complains."""
        found = []
        for name in self._shelf.names():
            try:
                found.append(self.find(name))
            except DamagedModelError:
                continue
        return tuple(found)

    def find(self, name: str) -> InstalledModel:
        """Return the installed model called `name`; its files are seen to be there, not read.

        Raises:
            NotInstalledError: there is none; the message has the cure.
            DamagedModelError: its manifest cannot be read, or a file that it lists is missing.
        """
        if not self._shelf.holds(name):
            raise NotInstalledError(self._not_installed(name))
        folder = self._shelf.model(name)
        manifest = read_manifest(folder)
        missing = [file for file in manifest.files if not (folder / file).is_file()]
        if missing:
            raise DamagedModelError(f"{folder} lacks {', '.join(missing)}: {_repair(manifest)}")
        return InstalledModel(name, folder, manifest, folder_bytes(folder))

    def shipped_adapter(self, installed: InstalledModel) -> Path | None:
        """Return the adapter that comes with Crosslight for the weights that a model was made of.

        Raises:
            ConversionError: The adapter is damaged.
        """
        files = [_PACKAGE_DATA / entry.adapter for entry in self._catalog.values() if entry.adapter]
        base = installed.manifest.source_sha256
        return next((file for file in files if read_adapter_facts(file).base_sha256 == base), None)

    def adapter_of(self, installed: InstalledModel) -> AdapterKind:
        """Return what was merged into an installed model's weights."""
        sha256 = installed.manifest.adapter_sha256
        if sha256 is None:
            return "none"
        shipped = self.shipped_adapter(installed)
        return "shipped" if shipped is not None and sha256_of(shipped) == sha256 else "another"

    def kept_weights(self, installed: InstalledModel) -> Path | None:
        """Return the file or folder that a model was made of, None if it is not where it was."""
        own = Path(installed.manifest.source)
        if own.is_absolute():
            return own if own.exists() else None
        downloads = self._shelf.downloads(installed.name)
        kept = sorted(downloads.glob("*.gguf"))
        return kept[0] if len(kept) == 1 else downloads if any(downloads.glob("*.safetensors")) else None

    def verify(self, name: str, on_progress: OnProgress | None = None) -> None:
        """Hash every file of an installed model and compare with its manifest.

        Raises:
            NotInstalledError: there is no such model.
            DamagedModelError: files are missing or hold other bytes; the message names them all.
        """
        model = self.find(name)
        sizes = {file: (model.folder / file).stat().st_size for file in model.manifest.files}
        wrong, before = [], 0
        for file, expected in model.manifest.files.items():

            def on_bytes(n_bytes: int, before: int = before, file: str = file) -> None:
                if on_progress is not None:
                    on_progress(Progress("verify", before + n_bytes, sum(sizes.values()), file))

            if sha256_of(model.folder / file, on_bytes) != expected:
                wrong.append(file)
            before += sizes[file]
        if wrong:
            raise DamagedModelError(
                f"{model.folder} holds other bytes in {', '.join(wrong)}: {_repair(model.manifest)}"
            )

    def remove(self, name: str) -> int:
        """Remove a model and what was downloaded for it, also when damaged or half fetched.

        Returns:
            The bytes freed.

        Raises:
            NotInstalledError: nothing of that name is there.
            StoreError: the files cannot be removed.
        """
        is_name = Path(name).name == name and not name.startswith(".")
        if not self._shelf.holds(name) and not (is_name and self._shelf.downloads(name).is_dir()):
            raise NotInstalledError(self._not_installed(name))
        with self._shelf.locked(name, _ignore, f"removing {name}"):
            return self._shelf.discard(name)

    def pull(  # noqa: PLR0913 - keyword arguments cannot be mixed up
        self,
        spec: str,
        *,
        adapter: AdapterChoice = "auto",
        quantization: Quantization | None = None,
        on_progress: OnProgress,
        force: bool = False,
        keep_weights: bool = False,
    ) -> InstalledModel:
        """Install the model that `spec` names and return it; at once when it is installed as asked for.

        Args:
            spec: A catalog name, a local folder or .gguf file, or a hub id (`Owner/Name[:file.gguf]`).
            adapter: What to merge into the weights.
            quantization: How weights are stored; None for what suits this machine's processor, or, of a model
                that is installed, for what it has.
            on_progress: Told of every phase; it may raise to stop.
            force: Fetch and convert again, whatever is installed under that name.
            keep_weights: Keep downloaded weights after the conversion, for converting again without a
                download, and for training; fetch them if they were not kept. By default they are removed,
                since the decoder does not need them, unless an earlier pull kept them. Weights that the user
                brought along are never touched.

        Raises:
            CatalogError: nothing is known by `spec`, or another model is installed under its name.
            DownloadError: no source gave the weights.
            ConversionError: the weights cannot be made into a decoder.
            DiskSpaceError: the disk is full, or would be.
            StoreError: the folder cannot be written.
            KeyboardInterrupt: as it came; a note says what is kept for the next pull.
        """
        source = identify(spec, self._catalog)
        chosen = _adapter_file(adapter, source)
        if chosen is not None:
            check_adapter(chosen, source.entry.sha256 if isinstance(source, CatalogSource) else None)
        order = _Order(source, chosen, quantization, on_progress, keep_weights)
        downloads = self._shelf.downloads(source.name)
        try:
            with self._shelf.locked(source.name, on_progress, f"pulling {source.name}"):
                installed = None if force else self._as_ordered(order)
                return installed or self._fetch_and_install(order)
        except KeyboardInterrupt as stop:
            if kept := folder_bytes(downloads):
                stop.add_note(
                    f"{human_bytes(kept)} are kept in {downloads}; the next pull goes on from there"
                )
            raise

    def _as_ordered(self, order: _Order) -> InstalledModel | None:
        """Return the installed model if it is what a pull would make, None if the pull has to make it."""
        try:
            installed = self.find(order.source.name)
        except (NotInstalledError, DamagedModelError):
            return None
        manifest = installed.manifest
        if manifest.source != order.source.label:
            raise CatalogError(
                f"a model called {installed.name} is installed from {manifest.source}: run "
                f"`crosslight model remove {installed.name}` first, or pull with --force to replace it"
            )
        same = (
            order.quantization in {None, manifest.quantization}
            and manifest.adapter_sha256 == (sha256_of(order.adapter) if order.adapter else None)
            # A local file may have been replaced by its owner; what a name or an id stands for is pinned.
            and not (
                isinstance(order.source, LocalSource)
                and weights_sha256(order.source.path) != manifest.source_sha256
            )
            and not (order.keep_weights and self.kept_weights(installed) is None)
        )
        if same and order.adapter is not None:
            check_adapter(order.adapter, manifest.source_sha256)  # its notes may have changed
        return installed if same else None

    def _fetch_and_install(self, order: _Order) -> InstalledModel:
        name = order.source.name
        downloads = self._shelf.downloads(name)
        keeps = order.keep_weights or self._keeps_weights(name)
        weights = obtain(order.source, downloads, order.on_progress)
        require_free(self.models_dir, weights.installed_bytes, f"converting {name}")
        converting = self._shelf.converting(name)
        try:
            with disk_errors(self.models_dir, f"converting {name}", weights.installed_bytes):
                self._make(order, weights, converting)
                sync_folder(converting)
            self._shelf.publish(name, converting)
        finally:
            shutil.rmtree(converting, ignore_errors=True)
        if downloads in weights.path.parents and not keeps:
            shutil.rmtree(downloads, ignore_errors=True)
        return self.find(name)

    def _keeps_weights(self, name: str) -> bool:
        """Return whether an earlier pull was asked to keep the weights: they lie there though it was done."""
        try:
            return self.kept_weights(self.find(name)) is not None
        except (NotInstalledError, DamagedModelError):
            return False

    def _make(self, order: _Order, weights: Obtained, folder: Path) -> None:
        convert = self._convert or _importer()
        convert(
            weights.path,
            folder,
            name=order.source.name,
            source_label=order.source.label,
            source_sha256=weights.sha256,
            licence=weights.licence,
            quantization=order.quantization or _default_quantization(),
            adapter=order.adapter,
            on_progress=lambda step, share: order.on_progress(
                Progress("convert", round(1000 * share), 1000, step)
            ),
        )

    def _not_installed(self, name: str) -> str:
        if name in self._catalog:
            return f"the model {name!r} is not installed: run `crosslight model pull {name}`"
        known = ", ".join(dict.fromkeys([*(model.name for model in self.list()), *self._catalog]))
        where = f"known here: {known} (`crosslight model list`)"
        return f"the model {name!r} is not installed, nor in the catalog; {where}"


def _adapter_file(choice: AdapterChoice, source: Source) -> Path | None:
    if isinstance(choice, Path):
        if choice.is_dir():
            raise ConversionError(
                f"there is no adapter file {choice}, it is a folder: name the .safetensors file in it"
            )
        if not choice.is_file():
            raise ConversionError(f"there is no adapter file {choice}")
        return choice
    if choice == "none" or not isinstance(source, CatalogSource) or source.entry.adapter is None:
        return None
    shipped = _PACKAGE_DATA / source.entry.adapter
    if not shipped.is_file():
        raise ConversionError(f"{shipped}, which comes with Crosslight, is missing: reinstall it")
    return shipped


def _repair(manifest: Manifest) -> str:
    return f"run `crosslight model pull {shlex.quote(manifest.source)} --force`"


def _ignore(_: Progress) -> None:
    """Tell nobody."""


def _importer() -> Convert:
    from model.importer import convert  # noqa: PLC0415 - loads numpy, onnx and tokenizers, for a pull only

    return convert


def _default_quantization() -> Quantization:
    from model.processor import u8s8_saturates  # noqa: PLC0415 - likewise
    from model.quantize import default_quantization  # noqa: PLC0415 - likewise

    return default_quantization(processor_saturates=u8s8_saturates())
