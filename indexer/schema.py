"""The tables of the catalogue, and how a catalogue file is opened, checked and moved aside.

This file does not know what is asked of the tables.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from indexer.errors import DamagedStoreError
from indexer.folders import private_folder
from indexer.storage import storage_errors

APPLICATION_ID = 0x43524C54  # "CRLT": tells a catalogue from any other SQLite file
SCHEMA_VERSION = 2
"""Raised whenever tables, terms, or what files are turned into change; an older catalogue is made anew."""

BUSY_TIMEOUT_S = 10.0

_TABLES = """
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE files (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    content_hash TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    language TEXT NOT NULL,
    role TEXT NOT NULL,
    n_lines INTEGER NOT NULL,
    has_errors INTEGER NOT NULL,
    linked INTEGER NOT NULL DEFAULT 0     -- whether import_targets holds what its imports resolve to
);
CREATE INDEX files_by_mtime ON files (mtime_ns);
CREATE INDEX files_unlinked ON files (id) WHERE linked = 0;

-- Files whose content said not to index them, so that unchanged ones need not be read again.
CREATE TABLE left_out (
    path TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    reason TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE definitions (
    number INTEGER PRIMARY KEY,           -- also the row of `terms`
    id TEXT NOT NULL UNIQUE,
    file_id INTEGER NOT NULL REFERENCES files (id),
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    qualified_name TEXT NOT NULL,
    signature TEXT NOT NULL,
    docstring TEXT NOT NULL,
    start_byte INTEGER NOT NULL,
    end_byte INTEGER NOT NULL,
    start_line INTEGER NOT NULL,
    end_line INTEGER NOT NULL,
    content_hash TEXT NOT NULL,
    embedded INTEGER NOT NULL DEFAULT 0,  -- whether the vector store acknowledged this very content
    text TEXT NOT NULL                    -- last: long rows spill over, and most lookups stop before it
);
CREATE INDEX definitions_by_file ON definitions (file_id);
CREATE INDEX definitions_by_name ON definitions (name);
CREATE INDEX definitions_unembedded ON definitions (number) WHERE embedded = 0;

-- Ids whose vectors are to be deleted; a row goes when the vector store has acknowledged that.
CREATE TABLE stale_vectors (id TEXT PRIMARY KEY) WITHOUT ROWID;

CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE uses (
    file_id INTEGER NOT NULL REFERENCES files (id),
    name_id INTEGER NOT NULL REFERENCES names (id),
    lines TEXT NOT NULL,                  -- decimal, joined by commas
    PRIMARY KEY (file_id, name_id)
) WITHOUT ROWID;
CREATE INDEX uses_by_name ON uses (name_id);

CREATE TABLE imports (
    file_id INTEGER NOT NULL REFERENCES files (id),
    ordinal INTEGER NOT NULL,
    local_name TEXT NOT NULL,
    module TEXT NOT NULL,
    name TEXT,
    line INTEGER NOT NULL,
    PRIMARY KEY (file_id, ordinal)
) WITHOUT ROWID;
CREATE TABLE import_targets (
    file_id INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    rank INTEGER NOT NULL,                -- 0 is the best candidate
    path TEXT NOT NULL,
    PRIMARY KEY (file_id, ordinal, rank)
) WITHOUT ROWID;
CREATE INDEX import_targets_by_path ON import_targets (path, file_id);

-- No content of its own: a row is deleted by giving its terms again, which definitions yields. The text is
-- split before it comes here, so that the tokenizer only cuts at spaces.
CREATE VIRTUAL TABLE terms USING fts5 (
    name, head, body, content = '', tokenize = "ascii tokenchars '_'"
);
CREATE VIRTUAL TABLE terms_vocabulary USING fts5vocab (terms, row);
-- A name that is asked for counts as much as eight mentions in a body.
INSERT INTO terms (terms, rank) VALUES ('rank', 'bm25(8.0, 3.0, 1.0)');
"""


def open_database(path: Path) -> tuple[sqlite3.Connection, str | None]:
    """Open the catalogue at `path`, making it if need be; a damaged or foreign one is moved aside first.

    Returns:
        The connection, in autocommit mode, and why an existing file was moved aside, if it was.

    Raises:
        StoreError: The file cannot be opened or written.
        DiskSpaceError: There is no room to create it.
    """
    private_folder(path.parent)
    try:
        connection, version = _connect(path)
    except DamagedStoreError as error:
        move_aside(path)
        return _connect(path)[0], str(error)
    if version == SCHEMA_VERSION:
        return connection, None
    connection.close()
    move_aside(path)
    reason = f"{path} was written by another version (format {version}, this one needs {SCHEMA_VERSION})"
    return _connect(path)[0], reason


def move_aside(path: Path) -> None:
    """Rename a catalogue that is of no use to `*.aside`, over an earlier one, and drop its journals."""
    with storage_errors(path):
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        if path.exists():
            path.replace(path.with_name(path.name + ".aside"))


def _connect(path: Path) -> tuple[sqlite3.Connection, int]:
    with storage_errors(path):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite would make it readable to others
        connection = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        try:
            return connection, _prepare(connection)
        except BaseException:
            connection.close()
            raise


def _prepare(connection: sqlite3.Connection) -> int:
    """Set the connection up, create the tables in an empty file, and return the version of the format."""
    connection.execute("PRAGMA journal_mode = WAL")
    # With WAL, NORMAL loses nothing committed when the process is killed, and never damages the file.
    connection.execute("PRAGMA synchronous = NORMAL")
    # More makes lexical queries over 60,000 definitions no faster; nor does a memory map, in which an error
    # of the disk would end the process.
    connection.execute("PRAGMA cache_size = -16384")
    connection.execute("PRAGMA temp_store = MEMORY")
    version = _version(connection)
    if version == 0:
        connection.execute("BEGIN IMMEDIATE")
        if _version(connection) == 0:  # another process may have been first
            for statement in _statements():
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
        version = _version(connection)
    return version


def _version(connection: sqlite3.Connection) -> int:
    """Return the format's version, 0 for an empty file, -1 for a database that is no catalogue."""
    n_tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if n_tables == 0:
        return 0
    return version if application_id == APPLICATION_ID else -1


def _statements() -> list[str]:
    """Cut the script into statements: executescript would commit the transaction around it."""
    without_comments = "\n".join(line.split("--")[0] for line in _TABLES.splitlines())
    return [statement.strip() for statement in without_comments.split(";") if statement.strip()]
