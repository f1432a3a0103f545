"""The vector store of one repository, in an embedded Chroma or on a Chroma server.

One collection a repository, one row a definition: id, vector, path. The text stays in the catalogue, which is
the truth: Chroma would index it a second time (measured: two thirds of the write rate, almost three times the
disk), and a server would get the user's source. The only file that imports chromadb, and it does so when the
first store is opened. This file does not know how vectors are made, nor which of them are missing.

An embedded store must have one process as its owner: two lose each other's rows without an error.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from indexer.errors import DamagedStoreError, DiskSpaceError, StoreError
from indexer.folders import private_folder

# How many neighbours to ask for beyond those wanted when one file's are left out; a filter inside of Chroma
# costs ten times the query.
_N_SPARE = 32

_SERVER_TIMEOUT_S = 10.0

# How many candidates HNSW keeps while it searches. On 8,000 near-duplicates: recall of the nearest ten 0.85
# with Chroma's 100, 0.93 with 200, for one more millisecond.
_EF_SEARCH = 200


@dataclass(frozen=True, slots=True)
class ChromaServer:
    """Where a Chroma server answers."""

    host: str
    port: int = 8000
    ssl: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with each request, for a token say; never logged."""

    def __str__(self) -> str:
        """Return the address, without the headers."""
        return f"{'https' if self.ssl else 'http'}://{self.host}:{self.port}"


class VectorStore:
    """The vectors of one repository; for one thread at a time."""

    def __init__(self, client: Any, where: Path | ChromaServer, collection: str, embedder: str) -> None:  # noqa: ANN401
        """Use `open`."""
        self._client = client
        self._where = where
        self._name = collection
        self._embedder = embedder
        self.was_emptied = False
        """Whether opening found no vectors of this embedder; those that the catalogue counts are gone."""
        self._collection = self._open_collection()

    @classmethod
    def open(cls, where: Path | ChromaServer, *, collection: str, embedder: str) -> Self:
        """Open the collection, making it if need be; vectors of another embedder are dropped.

        Args:
            where: The folder of an embedded Chroma, or a server.
            collection: Its name there.
            embedder: The name of what makes the vectors; it includes whatever their length depends on.

        Raises:
            DamagedStoreError: The embedded store cannot be read; `destroy` the folder and fill it again.
            StoreError: The server does not answer.
            DiskSpaceError: The disk is full.
        """
        with _chroma_errors(where):
            client = _connect(where)
        try:
            return cls(client, where, collection, embedder)
        except BaseException:
            client.close()
            raise

    @staticmethod
    def destroy(folder: Path) -> None:
        """Delete the folder of an embedded store that is closed."""
        shutil.rmtree(folder, ignore_errors=True)

    @staticmethod
    def drop(server: ChromaServer, collection: str) -> None:
        """Delete a collection of a server, if it is there.

        Raises:
            StoreError: The server does not answer.
        """
        with _chroma_errors(server):
            client = _connect(server)
            try:
                if collection in {one.name for one in client.list_collections()}:
                    client.delete_collection(collection)
            finally:
                _close(client, server)

    def close(self) -> None:
        """Give back its memory and file handles."""
        _close(self._client, self._where)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def put(self, ids: Sequence[str], vectors: npt.NDArray[np.float32], paths: Sequence[str]) -> None:
        """Store vectors, in place of those that these ids had; when it returns they survive a kill.

        Args:
            ids: One for each row of `vectors`, without repeats.
            vectors: Unit length, (len(ids), n_dimensions).
            paths: The file of each definition.
        """
        if not ids:
            return
        with _chroma_errors(self._where):
            # add() passes over an id that is there without a word, and upsert() is always slower.
            is_there = bool(self._collection.get(ids=list(ids), include=[])["ids"])
            write = self._collection.upsert if is_there else self._collection.add
            write(ids=list(ids), embeddings=vectors, metadatas=[{"path": path} for path in paths])

    def delete(self, ids: Sequence[str]) -> None:
        """Delete the vectors of these ids; an unknown id is passed over."""
        if ids:
            with _chroma_errors(self._where):
                self._collection.delete(ids=list(ids))

    def query(
        self, vector: npt.NDArray[np.float32], n: int, exclude_path: str | None = None
    ) -> list[tuple[str, float]]:
        """Return the nearest definitions.

        Args:
            vector: Unit length, (n_dimensions,).
            n: How many to return at most.
            exclude_path: A file whose definitions are left out.

        Returns:
            (definition id, cosine), best first.
        """
        if n <= 0:
            return []
        if exclude_path is None:
            return [(id_, cosine) for id_, cosine, _ in self._nearest(vector, n, None, with_paths=False)]
        rows = self._nearest(vector, n + _N_SPARE, None)
        kept = [(id_, cosine) for id_, cosine, path in rows if path != exclude_path]
        if len(kept) < n and len(rows) == n + _N_SPARE:  # the file itself fills the spare places
            kept = [
                (id_, cosine) for id_, cosine, _ in self._nearest(vector, n, {"path": {"$ne": exclude_path}})
            ]
        return kept[:n]

    def _nearest(
        self,
        vector: npt.NDArray[np.float32],
        n: int,
        where: dict[str, Any] | None,
        *,
        with_paths: bool = True,
    ) -> list[tuple[str, float, str]]:
        """Return (id, cosine, path), best first; paths cost reading from SQLite and may be left out."""
        with _chroma_errors(self._where):
            found = self._collection.query(
                query_embeddings=vector.reshape(1, -1),
                n_results=n,
                where=where,
                include=["distances", "metadatas"] if with_paths else ["distances"],
            )
        ids, distances, metadatas = found["ids"], found["distances"], found["metadatas"]
        assert distances is not None  # noqa: S101 - asked for above
        paths = [str(one["path"]) for one in metadatas[0]] if metadatas else [""] * len(ids[0])
        return [
            (id_, 1.0 - float(distance), path)  # the cosine space's distance is 1 - cosine
            for id_, distance, path in zip(ids[0], distances[0], paths, strict=True)
        ]

    def ids(self) -> set[str]:
        """Return the ids of all rows."""
        with _chroma_errors(self._where):
            return set(self._collection.get(include=[])["ids"])

    def _open_collection(self) -> Any:  # noqa: ANN401 - chromadb's Collection, whose types do not hold
        with _chroma_errors(self._where):
            names = {collection.name for collection in self._client.list_collections()}
            if self._name in names:
                collection = self._client.get_collection(self._name, embedding_function=None)
                if (collection.metadata or {}).get("embedder") == self._embedder:
                    return collection
                self._client.delete_collection(self._name)
            self.was_emptied = True
            return self._client.create_collection(
                self._name,
                embedding_function=None,
                metadata={"embedder": self._embedder},
                configuration={"hnsw": {"space": "cosine", "ef_search": _EF_SEARCH}},
            )


def _connect(where: Path | ChromaServer) -> Any:  # noqa: ANN401 - the client's declared type lacks close()
    if isinstance(where, Path):
        private_folder(where)
        with _away_from_dotenv(where):
            import chromadb  # noqa: PLC0415 - half a second, and only the owner of vectors needs it
            from chromadb.api import ServerAPI  # noqa: PLC0415
            from chromadb.api.client import Client  # noqa: PLC0415
            from chromadb.config import System  # noqa: PLC0415

            settings = _settings(is_persistent=True, persist_directory=str(where))
            # What PersistentClient does, but a store that fails to start is not remembered: it would be
            # handed out again, broken, for the same folder.
            system = System(settings)
            system.instance(ServerAPI)  # type: ignore[type-abstract]
            system.start()
        return Client.from_system(system)
    with _away_from_dotenv(Path.home()):
        import chromadb  # noqa: PLC0415

        client = chromadb.HttpClient(
            where.host, where.port, where.ssl, dict(where.headers), settings=_settings()
        )
        for session in _sessions(client):
            session.timeout = _SERVER_TIMEOUT_S
        return client


def _close(client: Any, where: Path | ChromaServer) -> None:  # noqa: ANN401
    sessions = _sessions(client) if isinstance(where, ChromaServer) else ()
    with contextlib.suppress(Exception):
        client.close()
    for session in sessions:
        session.close()


def _sessions(client: Any) -> tuple[Any, ...]:  # noqa: ANN401
    """Return the HTTP sessions of a client, which it makes without a timeout and never closes."""
    return client._server._session, client._admin_client._server._session  # noqa: SLF001


def _settings(**values: object) -> Any:  # noqa: ANN401
    from chromadb import config  # noqa: PLC0415

    make: Any = config.Settings  # pydantic's own parameter is not among the declared ones
    return make(anonymized_telemetry=False, _env_file=None, **values)


@contextlib.contextmanager
def _away_from_dotenv(safe: Path) -> Iterator[None]:
    """Leave a folder that holds a `.env` while chromadb is imported: it would read it, and may fail on it."""
    here = Path.cwd()
    if not (here / ".env").exists():
        yield
        return
    os.chdir(safe)
    try:
        yield
    finally:
        os.chdir(here)


@contextlib.contextmanager
def _chroma_errors(where: Path | ChromaServer) -> Iterator[None]:
    """Turn whatever Chroma raises, a panic of its native part included, into this package's errors."""
    try:
        yield
    except (StoreError, DiskSpaceError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic derives from BaseException
        text = " ".join(str(error).split())
        if isinstance(where, ChromaServer):
            raise StoreError(f"the Chroma server at {where} does not answer as it should: {text}") from error
        if "disk is full" in text or "No space left" in text:
            raise DiskSpaceError(
                f"the disk that holds {where} is full; free some room and run this again"
            ) from error
        if "readonly database" in text or "ermission denied" in text or "Read-only" in text:
            raise StoreError(
                f"cannot write {where} ({text}); make it writable, or choose another folder (XDG_CACHE_HOME)"
            ) from error
        raise DamagedStoreError(f"the vector store in {where} is damaged: {text}", where) from error
