"""Builds the objects that commands use from the user's folders and settings.

The one place where `indexer` and `model` meet at start-up: the index worker is given an embedder made of the
installed model, a completer a running decoder. Heavy imports stay inside functions.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lsp_server.config import load_settings
from lsp_server.document import find_root
from lsp_server.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from indexer.client import IndexClient
    from indexer.vectors import ChromaServer
    from lsp_server.config import IndexSettings, Settings
    from lsp_server.paths import Folders
    from lsp_server.running_model import RunningModel
    from lsp_server.server.host import Host
    from lsp_server.server.loaded import LoadedModel
    from model.embedding import StaticEmbedder
    from model.session import DecoderSession
    from model.store import InstalledModel, ModelStore
    from model.types import Quantization

WORKER_COMMAND = (sys.executable, "-P", "-m", "lsp_server", "index-worker")
"""`-P` keeps the working folder off the import path: a workspace's own `model` folder must never run."""

KEPT_PLACES_BYTES = 64 << 20
"""Of places in documents that were just left: 2,600 tokens of the default model, two or three places."""


def open_store(folders: Folders) -> ModelStore:
    """Return the installed models."""
    from model.store import ModelStore

    return ModelStore(folders.models)


def configured_model(folders: Folders, settings: Settings) -> InstalledModel:
    """Return the model that the settings name.

    Raises:
        NotInstalledError: There is none; the message says which setting names it, and the cures.
        DamagedModelError: Its files are not whole.
    """
    from model.catalog import DEFAULT_MODEL, load_catalog
    from model.errors import NotInstalledError

    name, store = settings.model.name, open_store(folders)
    try:
        return store.find(name)
    except NotInstalledError as error:
        installed = ", ".join(one.name for one in store.list())
        if name == DEFAULT_MODEL and not installed:
            raise  # nothing was fetched yet: the store's own words have the one cure
        pull = f", or run `crosslight model pull {name}`" if name in load_catalog() else ""
        cure = (
            f"write one there that is ({installed})"
            if installed
            else f"take the line out and run `crosslight model pull {DEFAULT_MODEL}`"
        )
        raise NotInstalledError(
            f"`model.name` in {folders.config_file} is {name!r}, and no model of that name is installed: "
            f"{cure}{pull}"
        ) from error


def connect_index(folders: Folders) -> IndexClient:
    """Return a connection to the index worker, which is started if none runs."""
    from indexer.client import IndexClient

    return IndexClient.connect(folders.index, folders.runtime, start=WORKER_COMMAND)


def repository_of(file: Path, folders: Folders) -> Path | None:
    """Return the repository of a file: what looks like one, or else the nearest folder that was indexed."""
    from indexer.repository import IndexFolder

    parents = Path(os.path.abspath(file)).parents  # noqa: PTH100 - resolve() would leave the tree by symlinks
    indexed = (folder for folder in parents if IndexFolder.of(folders.index, folder).exists())
    return find_root(file) or next(indexed, None)


def stop_worker(folders: Folders) -> None:
    """End the index worker, if one runs."""
    from indexer.client import IndexClient
    from indexer.errors import WorkerError

    with (
        contextlib.suppress(WorkerError),
        IndexClient.connect(folders.index, folders.runtime, start=None) as client,
    ):
        client.stop()


def stop_lone_worker(folders: Folders) -> bool:
    """End the index worker if one runs and no other program is connected to it; return whether none runs.

    Raises:
        WorkerError: It was told to end and goes on.
    """
    from indexer.client import IndexClient
    from indexer.errors import WorkerError

    try:
        client = IndexClient.connect(folders.index, folders.runtime, start=None)
    except WorkerError:
        return True
    with client:
        return client.stop(only_if_alone=True)


def run_worker(folders: Folders, settings: Settings) -> None:
    """Be the index worker until nobody has asked for the configured time."""
    from indexer.worker import serve

    serve(
        folders.index,
        folders.runtime,
        make_embedder=lambda: make_embedder(folders, settings),
        idle_s=settings.index.worker_idle_s,
        server=chroma_server(settings.index),
        is_outdated=lambda: load_settings(folders.config_file).settings != settings,
    )


def chroma_server(settings: IndexSettings) -> ChromaServer | None:
    """Return the configured Chroma server, None for the embedded store.

    Raises:
        UsageError: The address is none.
    """
    from indexer.vectors import ChromaServer

    if not settings.chroma_url:
        return None
    url = urlsplit(settings.chroma_url)
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise UsageError(f"index.chroma_url is {settings.chroma_url!r}: write it as http://HOST:PORT")
    headers = {"Authorization": f"Bearer {settings.chroma_token}"} if settings.chroma_token else {}
    port = url.port or (443 if url.scheme == "https" else 8000)
    return ChromaServer(url.hostname, port, url.scheme == "https", headers)


def make_embedder(folders: Folders, settings: Settings) -> StaticEmbedder | None:
    """Return the embedder that the configured model carries, None where that model is not installed."""
    from model.embedding import VECTORS_FILE, StaticEmbedder
    from model.errors import ModelError
    from model.tokenizer import Tokenizer

    try:
        installed = open_store(folders).find(settings.model.name)
    except ModelError:
        return None
    if not (installed.folder / VECTORS_FILE).is_file():
        return None
    tokenizer = Tokenizer.from_file(installed.folder / "tokenizer.json", installed.manifest.control)
    return StaticEmbedder.from_folder(installed.folder, tokenizer)


def cuda_problem() -> str | None:
    """Return why nothing can run on CUDA on this machine, with the cure; None if something does."""
    from model.graph import probe_graph
    from model.session import cuda_problem as problem_of

    return problem_of(probe_graph())


def quantization_here(settings: Settings) -> Quantization | None:
    """Return how a model is to be imported for the configured provider; None for what suits this processor.

    Raises:
        ProviderError: The settings ask for CUDA, which cannot be had.
    """
    from model.errors import ProviderError
    from model.quantize import cuda_quantization

    if settings.model.provider == "cpu":
        return None
    problem = cuda_problem()
    if problem is None:
        return cuda_quantization()
    if settings.model.provider == "cuda":
        raise ProviderError(f"the settings ask for CUDA, which cannot be used: {problem}")
    return None


def load_session(installed: InstalledModel, settings: Settings) -> DecoderSession:
    """Load a model's graph on the configured provider.

    Raises:
        ProviderError: The provider that the settings ask for cannot be had.
        DamagedModelError: The graph cannot be loaded.
    """
    from model.session import load_decoder

    return load_decoder(
        installed.folder,
        installed.manifest.config,
        installed.manifest.quantization,
        provider=settings.model.provider,
        n_threads=settings.model.threads or None,
    )


def start_model(
    folders: Folders, settings: Settings, on_problem: Callable[[str], None] = lambda _: None
) -> RunningModel:
    """Load the configured model with room for the longest prompt and completion that the settings allow.

    Args:
        folders: Where models and memories are.
        settings: Which model, and how much it reads.
        on_problem: Told at most once that memories cannot be kept on the disk.

    Raises:
        NotInstalledError: The model was never fetched; the message has the cure.
    """
    from lsp_server.feeding import prompt_budget
    from lsp_server.running_model import RunningModel
    from model.memory import MemoryEncoder
    from model.memory_bank import MemoryBank
    from model.memory_store import MemoryStore
    from model.prompt import MOST_SINK_TOKENS
    from model.state import DecodeState
    from model.tokenizer import Tokenizer

    installed = configured_model(folders, settings)
    session = load_session(installed, settings)
    tokenizer = Tokenizer.from_file(installed.folder / "tokenizer.json", installed.manifest.control)
    longest = max(settings.completion.max_line_tokens, settings.completion.max_block_tokens)
    model_hash = installed.manifest.model_hash
    max_tokens = MOST_SINK_TOKENS + settings.retrieval.definition_tokens
    store = MemoryStore(
        folder=folders.memories,
        model_hash=model_hash,
        max_ram_bytes=settings.memory.ram_mb << 20,
        max_disk_bytes=settings.memory.disk_mb << 20,
        on_problem=on_problem,
    )
    return RunningModel(
        name=installed.name,
        provider=session.provider,
        codec=tokenizer,
        decoder=DecodeState(
            session, prompt_budget(settings).total_tokens + longest, kept_bytes=KEPT_PLACES_BYTES
        ),
        bank=MemoryBank(MemoryEncoder(session, model_hash, max_tokens=max_tokens), store),
    )


def start_host(folders: Folders, settings: Settings, problems: Sequence[str] = ()) -> Host:
    """Return what the language server's connections share, which begins to load the model.

    Args:
        folders: The user's.
        settings: The user's.
        problems: What is wrong with the settings; each connection tells its editor.
    """
    from lsp_server.server.host import Host
    from lsp_server.server.statistics import Statistics

    def load(on_problem: Callable[[str], None]) -> LoadedModel:
        from lsp_server.server.loaded import LoadedModel

        return LoadedModel(start_model(folders, settings, on_problem), settings)

    return Host(
        settings,
        load,
        lambda: connect_index(folders),
        Statistics(folders.statistics_file),
        problems=problems,
        # What there is then stays, and is most of what there will be. Looking through it for garbage would
        # hold up every thread, the event loop too, for up to a tenth of a second, again and again.
        on_ready=gc.freeze,
    )
