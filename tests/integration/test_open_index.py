import json
import os
import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import sha512
from pathlib import Path

import numpy as np
import pytest
from fakes import INVOICING, HashingEmbedder, write_files

from indexer.catalogue import Changes
from indexer.embed import vectors_name
from indexer.errors import LockedError, RootError, StoreError
from indexer.open_index import EmbedderSource, OpenIndex
from indexer.report import IndexProgress, IndexSummary
from indexer.repository import IndexFolder
from indexer.storage import checked_root
from indexer.types import Embedder, RetrievalQuery
from indexer.vectors import ChromaServer, VectorStore


class Opener:
    """A repository, and how a test opens its index."""

    def __init__(self, folder: Path) -> None:
        self.root = write_files(folder / "repository", INVOICING)
        self.index = IndexFolder.of(folder / "index", self.root)
        self.embedder = HashingEmbedder()

    def open(
        self, make: Callable[[], Embedder | None] | None = None, server: ChromaServer | None = None
    ) -> OpenIndex:
        return OpenIndex(self.index, EmbedderSource(make or (lambda: self.embedder)), server)


@pytest.fixture
def opener(tmp_path: Path) -> Opener:
    return Opener(tmp_path)


@pytest.fixture
def opened(opener: Opener) -> Iterator[OpenIndex]:
    with opener.open() as opened:
        build(opened)
        opener.embedder.n_embedded = 0
        yield opened


def build(opened: OpenIndex, *, after: int = 1 << 30, force: bool = False) -> IndexSummary:
    """Build the index, cancelled when it was asked `after` times."""
    n_asked = 0

    def cancelled() -> bool:
        nonlocal n_asked
        n_asked += 1
        return n_asked > after

    return opened.build(on_progress=lambda _: None, cancelled=cancelled, force=force)


def ask(opened: OpenIndex, prefix: str) -> list[str]:
    query = RetrievalQuery(path=None, prefix=prefix, suffix="", n=5, deadline_ms=10_000)
    return [row.definition.qualified_name for row in opened.retrieve(query).retrieved]


def test_an_unchanged_repository_is_neither_parsed_nor_embedded(opener: Opener, opened: OpenIndex) -> None:
    summary = build(opened)
    assert (summary.n_files_written, summary.n_files_unchanged) == (0, len(INVOICING))
    assert summary.n_definitions == summary.n_embedded
    assert opener.embedder.n_embedded == 0


def test_a_touched_file_is_not_parsed(opener: Opener, opened: OpenIndex) -> None:
    os.utime(opener.root / "shop.py", ns=(1, 1))
    assert build(opened).n_files_written == 0
    assert opened._reader.files()["shop.py"].mtime_ns == 1


def test_a_changed_definition_alone_is_embedded(opener: Opener, opened: OpenIndex) -> None:
    changed = INVOICING["billing/invoice.py"].replace("today - self.due", "self.due - today")
    write_files(opener.root, {"billing/invoice.py": "\n\n" + changed})
    summary = build(opened)
    assert (summary.n_definitions_added, summary.n_definitions_removed) == (0, 0)
    assert summary.n_definitions_changed == 1
    assert summary.n_definitions_moved >= 2
    assert opener.embedder.n_embedded == 1


def test_a_deleted_file_leaves_nothing(opener: Opener, opened: OpenIndex) -> None:
    (opener.root / "shop.py").unlink()
    summary = build(opened)
    assert (summary.n_files_removed, summary.n_files) == (1, len(INVOICING) - 1)
    assert "remind" not in ask(opened, "remind(")
    assert opened._vectors is not None
    assert not [id_ for id_ in opened._vectors.store.ids() if "remind" in id_]


def test_a_file_that_became_a_secret_is_forgotten(opener: Opener, opened: OpenIndex) -> None:
    body = "\n".join(b64encode(sha512(bytes([n])).digest()).decode() for n in range(12))
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----\n"
    write_files(opener.root, {"shop.py": f'KEY = """{key}"""\n'})
    summary = build(opened)
    assert summary.left_out["secret"] == 1
    assert "shop.py" not in opened._reader.paths()


def test_a_file_that_was_left_out_for_its_content_is_not_read_again(
    opener: Opener, opened: OpenIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(opener.root, {"made.py": "# @generated\nx = f()\n", "also.py": "# @generated\n"})
    assert build(opened).left_out["generated"] == 2

    def read(*_: object) -> None:
        raise AssertionError("nothing changed")

    with monkeypatch.context() as patch:
        patch.setattr("indexer.parse_pool.read_source", read)
        again = build(opened)
    assert again.left_out["generated"] == 2
    assert set(again.left_out_examples["generated"]) == {"also.py", "made.py"}
    (opener.root / "also.py").unlink()
    write_files(opener.root, {"made.py": "handwritten = f()\n"})
    changed = build(opened)
    assert ("generated" in changed.left_out, changed.n_files_written) == (False, 1)
    assert opened._reader.left_out() == {}


def test_force_parses_everything_and_changes_nothing(opener: Opener, opened: OpenIndex) -> None:
    summary = build(opened, force=True)
    assert summary.n_files_written == len(INVOICING)
    assert (summary.n_definitions_added, summary.n_definitions_changed) == (0, 0)
    assert opener.embedder.n_embedded == 0


def test_a_cancelled_run_is_finished_by_the_next_wherever_it_ended(opener: Opener) -> None:
    with opener.open() as opened:
        were_complete = [build(opened, after=after).is_complete for after in range(12)]
        summary = build(opened)
    assert not any(were_complete[:3])
    assert summary.is_complete
    assert summary.n_files == len(INVOICING)
    assert summary.n_definitions == summary.n_embedded > 0


def test_without_an_embedder_the_index_says_so_and_vectors_are_filled_in_later(opener: Opener) -> None:
    embedders: list[Embedder] = []
    with opener.open(lambda: embedders[0] if embedders else None) as opened:
        summary = build(opened)
        assert summary.n_embedded == 0
        assert "no vectors: no model" in summary.notes[0]
        assert ask(opened, "invoice.overdue_days(")
        embedders.append(opener.embedder)
        summary = build(opened)
        assert summary.notes == ()
        assert summary.n_files_written == 0
        assert summary.n_embedded == summary.n_definitions


def test_an_embedder_that_fails_costs_the_vectors_only(opener: Opener) -> None:
    def fail() -> Embedder:
        raise OSError("no such file")

    with opener.open(fail) as opened:
        summary = build(opened)
    assert summary.n_definitions > 0
    assert "no such file" in summary.notes[0]


def test_another_embedder_makes_all_vectors_anew(opener: Opener, opened: OpenIndex) -> None:
    opened.close()
    other = HashingEmbedder("hashing-other")
    with opener.open(lambda: other) as reopened:
        assert reopened.status().n_embedded > 0
        reopened.open_vectors()
        assert "none yet" in (reopened.status().no_vectors or "")
        summary = build(reopened)
    assert summary.embedder == vectors_name(other)
    assert other.n_embedded == summary.n_definitions == summary.n_embedded


def test_another_text_to_embed_makes_all_vectors_anew(
    opener: Opener, opened: OpenIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened.close()
    monkeypatch.setattr("indexer.embed.embedding_text", lambda definition: definition.text)
    with opener.open() as reopened:
        summary = build(reopened)
    assert opener.embedder.n_embedded == summary.n_definitions == summary.n_embedded


def test_vectors_that_are_lost_or_left_over_are_mended_at_the_next_run(
    opener: Opener, opened: OpenIndex
) -> None:
    assert opened._vectors is not None
    store = opened._vectors.store
    lost = sorted(store.ids())[:2]
    store.delete(lost)
    store.put(["left over"], np.ones((1, 32), np.float32), ["gone.py"])
    opened.close()
    with opener.open() as reopened:
        summary = build(reopened)
        assert reopened._vectors is not None
        assert reopened._vectors.store.ids() == reopened._writer.embedded_ids()
    assert opener.embedder.n_embedded == 2
    assert summary.n_embedded == summary.n_definitions


def test_a_buffer_that_was_never_saved_is_retrieved_from_unless_its_file_would_not_be_indexed(
    opener: Opener, opened: OpenIndex
) -> None:
    (opened.index.root / ".gitignore").write_text("private/\n")
    build(opened)
    for path in ("billing/refund.py", "private/refund.py"):
        folder = path.partition("/")[0]
        opened.overlay(path, f"def {folder}_refund(amount: float) -> float:\n    return -amount\n")
    assert "billing_refund" in ask(opened, "from billing.refund import billing_refund\n\nx = billing_refund(")
    assert "private_refund" not in ask(opened, "x = private_refund(")
    opened.overlay(
        "billing/refund.py", "api_key = 'q8Zr3TnV0yKp" + "6WmJ4sXc'\n\n\ndef other_refund(): ...\n"
    )
    assert not {"billing_refund", "other_refund"} & set(ask(opened, "x = other_refund(billing_refund("))


def spoil_sqlite(folder: Path) -> None:
    (folder / "vectors/chroma.sqlite3").write_bytes(b"spoiled" * 1000)


def spoil_everything(folder: Path) -> None:
    for file in (folder / "vectors").rglob("*"):
        if file.is_file():
            file.write_bytes(b"spoiled" * 1000)


def remove_folder(folder: Path) -> None:
    shutil.rmtree(folder / "vectors")


@pytest.mark.parametrize("spoil", [spoil_sqlite, spoil_everything, remove_folder])
def test_a_damaged_vector_store_is_made_anew_from_the_catalogue(
    opener: Opener, opened: OpenIndex, spoil: Callable[[Path], None]
) -> None:
    opened.close()
    spoil(opener.index.folder)
    with opener.open() as reopened:
        reopened.open_vectors()
        assert ask(reopened, "invoice.overdue_days(")  # retrieval goes on, with vectors or without
        summary = build(reopened)
        assert summary.n_files_written == 0
        assert summary.n_embedded == summary.n_definitions
        assert reopened.status().no_vectors is None
        assert opener.embedder.n_embedded >= summary.n_definitions


def test_a_damaged_catalogue_is_made_anew_and_said_once(opener: Opener, opened: OpenIndex) -> None:
    n_definitions = opened.status().n_definitions
    opened.close()
    opener.index.catalogue_file.write_bytes(b"spoiled" * 1000)
    with opener.open() as reopened:
        first, second = build(reopened), build(reopened)
    assert "made anew" in first.notes[0]
    assert second.notes == ()
    assert first.n_definitions == first.n_embedded == n_definitions


def test_a_catalogue_that_turns_out_damaged_during_a_run_is_made_anew(
    opener: Opener, opened: OpenIndex
) -> None:
    opened._writer.compact()
    opened.close()
    size = opener.index.catalogue_file.stat().st_size
    with opener.index.catalogue_file.open("r+b") as stream:
        stream.seek(4096)
        stream.write(b"\xff" * (size - 4096))
    with opener.open() as reopened:
        summary = build(reopened)
    assert "made anew" in summary.notes[0]
    assert summary.n_files_written == len(INVOICING)
    assert summary.n_definitions == summary.n_embedded > 0


def test_update_touches_one_file_only(opener: Opener, opened: OpenIndex) -> None:
    write_files(
        opener.root,
        {"shop.py": INVOICING["shop.py"].replace("pay", "please pay"), "notes.md": "# Changed\n\nToo.\n"},
    )
    changes = opened.update(["shop.py"])
    assert (len(changes.changed), changes.added, changes.removed) == (1, (), ())
    assert opener.embedder.n_embedded == 1
    assert opened.update(["shop.py"]) == Changes()


def test_update_takes_new_files_in_and_deleted_ones_out(opener: Opener, opened: OpenIndex) -> None:
    write_files(opener.root, {"new.py": "def fresh() -> None:\n    pass\n", ".gitignore": "build/\n"})
    write_files(opener.root, {"build/made.py": "def made() -> None:\n    pass\n"})
    (opener.root / "notes.md").unlink()
    changes = opened.update(["new.py", "build/made.py", "notes.md", "never/was.py"])
    assert len(changes.added) == 1
    assert changes.removed
    assert {"new.py"} == opened._reader.paths() - INVOICING.keys()
    assert "notes.md" not in opened._reader.paths()


def test_update_follows_no_link_out_of_the_repository(opener: Opener, opened: OpenIndex) -> None:
    shutil.rmtree(opener.root / "billing")
    elsewhere = write_files(opener.root.parent / "elsewhere", {"invoice.py": "private = f()\n"})
    (opener.root / "billing").symlink_to(elsewhere)
    opened.update(["billing/invoice.py"])
    assert "billing/invoice.py" not in opened._reader.paths()


def test_links_in_a_circle_are_no_repository(opener: Opener) -> None:
    circle = opener.root / "circle"
    circle.symlink_to(circle)
    with pytest.raises(RootError):
        checked_root(IndexFolder.of(opener.index.folder.parent, circle).root)


def test_imports_lead_to_the_files_they_mean(opened: OpenIndex) -> None:
    ((imported, targets),) = opened._reader.imports_of("shop.py")
    assert (imported.name, targets[0]) == ("Invoice", "billing/invoice.py")
    assert opened._reader.importers_of("billing/invoice.py") == ["shop.py"]


def test_a_second_owner_is_told_who_the_first_is(opener: Opener, opened: OpenIndex) -> None:
    with pytest.raises(LockedError, match=f"process {os.getpid()}"):
        opener.open()


def test_a_repository_that_is_gone_is_said_and_its_index_kept(opener: Opener, opened: OpenIndex) -> None:
    shutil.rmtree(opener.root)
    with pytest.raises(RootError, match="does not exist"):
        build(opened)
    assert opened.status().n_files == len(INVOICING)


def test_a_server_that_does_not_answer_costs_the_vectors_only(opener: Opener) -> None:
    with opener.open(server=ChromaServer("127.0.0.1", port=9)) as opened:
        summary = build(opened)
    assert summary.n_definitions > 0
    assert "http://127.0.0.1:9" in summary.notes[0]


def test_a_server_that_does_not_answer_does_not_keep_a_file_from_being_updated(opener: Opener) -> None:
    with opener.open(server=ChromaServer("127.0.0.1", 1)) as opened:
        assert opened.update(["shop.py"]).added
        assert "shop.py" in opened._reader.paths()


def test_a_server_that_does_not_answer_is_asked_once_a_run(opener: Opener) -> None:
    write_files(opener.root, {f"m{n}.py": f"def f{n}(): pass\n" for n in range(100)})
    with opener.open(server=ChromaServer("127.0.0.1", 1)) as opened:
        summary = build(opened)
    assert summary.n_files == len(INVOICING) + 100
    assert [note.startswith("vectors are missing") for note in summary.notes] == [True]


def test_vectors_are_made_while_files_are_parsed_and_none_is_missed(
    opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.embed.BATCH_DEFINITIONS", 16)
    write_files(opener.root, {f"m{n}.py": f"def f{n}(): pass\n" for n in range(100)})
    phases: dict[str, int] = {}
    with opener.open() as opened:

        def note(progress: IndexProgress) -> None:
            phases[progress.phase] = opener.embedder.n_embedded

        summary = opened.build(on_progress=note, cancelled=lambda: False)
        assert opened._vectors is not None
        assert opened._vectors.store.ids() == opened._writer.embedded_ids()
    assert phases["parse"] > 0
    assert summary.n_embedded == summary.n_definitions == opener.embedder.n_embedded


def test_a_run_that_waits_for_another_says_so_and_can_be_cancelled(opened: OpenIndex) -> None:
    told: list[IndexProgress] = []
    with opened._write_lock, pytest.raises(LockedError, match="another run"):
        opened.build(on_progress=told.append, cancelled=lambda: True)
    assert [progress.phase for progress in told] == ["wait"]
    assert build(opened).is_complete


def test_a_summary_and_progress_survive_json(opened: OpenIndex) -> None:
    summary = build(opened, force=True)
    assert IndexSummary.from_json(json.loads(json.dumps(summary.to_json()))) == summary
    assert summary.total_seconds >= 0
    assert summary.disk_bytes > 0


def test_progress_counts_up_to_the_total(opener: Opener) -> None:
    seen: list[IndexProgress] = []
    with opener.open() as opened:
        opened.build(on_progress=seen.append, cancelled=lambda: False)
    for phase in ("parse", "embed"):
        last = [progress for progress in seen if progress.phase == phase][-1]
        assert last.n_done == last.n_total > 0


def test_a_workspace_dotenv_is_not_read(
    opener: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path, {"workspace/.env": "CHROMA_API_IMPL=nonsense\nIS_PERSISTENT=maybe\n"})
    monkeypatch.chdir(tmp_path / "workspace")
    with VectorStore.open(tmp_path / "vectors", collection="definitions", embedder="e") as store:
        assert store.ids() == set()
    assert Path.cwd() == tmp_path / "workspace"


def test_a_vector_query_leaves_out_a_file_that_fills_the_first_places(tmp_path: Path) -> None:
    vectors = np.eye(100, dtype=np.float32)
    vectors[:, 0] += 0.5
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with VectorStore.open(tmp_path / "vectors", collection="definitions", embedder="e") as store:
        near = [f"near {n}" for n in range(90)]
        store.put(near, vectors[:90], ["here.py"] * 90)
        store.put([f"far {n}" for n in range(10)], -vectors[:10], ["there.py"] * 10)
        assert store.query(vectors[0], 3)[0] == ("near 0", pytest.approx(1.0, abs=1e-5))
        found = store.query(vectors[0], 3, exclude_path="here.py")
        assert len(found) == 3
        assert all(id_.startswith("far") for id_, _ in found)
        assert found[0][1] >= found[-1][1]


def test_put_replaces_what_an_id_had(tmp_path: Path) -> None:
    one, two = np.eye(2, dtype=np.float32)
    with VectorStore.open(tmp_path / "vectors", collection="definitions", embedder="e") as store:
        store.put(["a"], one[None], ["a.py"])
        store.put(["a", "b"], np.stack([two, one]), ["a.py", "b.py"])
        assert [id_ for id_, _ in store.query(two, 2)] == ["a", "b"]
        assert store.ids() == {"a", "b"}


def test_folders_of_repositories_are_told_apart_and_listed(tmp_path: Path) -> None:
    index = tmp_path / "index"
    folders = [IndexFolder.of(index, tmp_path / name) for name in ("a/same", "b/same", "c/no code ü", "d")]
    assert len({folder.folder for folder in folders}) == 4
    for folder in folders[:3]:
        folder.create()
    (index / "stray").mkdir()
    assert [folder.root for folder in IndexFolder.all_in(index)] == [folder.root for folder in folders[:3]]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_cache_is_said(opener: Opener) -> None:
    opener.index.folder.parent.mkdir(parents=True)
    opener.index.folder.parent.chmod(0o500)
    with pytest.raises(StoreError, match="ermission"):
        opener.open()
