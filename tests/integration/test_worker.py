import contextlib
import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from fakes import INVOICING, wait_for, worker_command, write_files

from indexer.client import IndexClient
from indexer.errors import RootError, WorkerError
from indexer.report import VECTORS_TO_BE_MADE, IndexProgress
from indexer.types import RelatedQuery, RetrievalQuery
from indexer.wire import index_meeting, receive
from indexer.worker import _accept, at_low_priority

N_EACH = 16
MANY_FILES = {
    f"package/module_{n}.py": "".join(
        f"def work_{n}_{i}(a):\n    return a + {i}\n\n\n" for i in range(N_EACH)
    )
    for n in range(150)
}


class Place:
    """Folders of one test, and clients of its worker."""

    def __init__(self, folder: Path) -> None:
        self.index, self.runtime = folder / "index", folder / "run"
        self.root = folder / "repository"
        self.root.mkdir()

    def connect(self, idle_s: float = 60.0) -> IndexClient:
        return IndexClient.connect(
            self.index, self.runtime, start=worker_command(self.index, self.runtime, idle_s)
        )

    def worker_pids(self) -> list[int]:
        found = []
        for process in psutil.process_iter():
            try:
                line = process.cmdline()
            except psutil.Error:
                continue
            if any(str(self.index) in part and "serve(" in part for part in line):
                found.append(process.pid)
        return found


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    for pid in place.worker_pids():
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not place.worker_pids())


def query(prefix: str) -> RetrievalQuery:
    return RetrievalQuery(path=None, prefix=prefix, suffix="", n=5, deadline_ms=5_000)


def test_a_client_starts_a_worker_that_indexes_and_answers(place: Place) -> None:
    write_files(place.root, INVOICING)
    seen: list[IndexProgress] = []
    with place.connect() as client:
        assert not client.status(place.root).exists
        summary = client.index(place.root, on_progress=seen.append)
        assert summary.is_complete
        assert summary.n_definitions == summary.n_embedded > 0
        assert {progress.phase for progress in seen} >= {"parse", "embed"}
        result = client.retrieve(place.root, query("def f(invoice):\n    invoice.overdue_days("))
        assert "overdue_days" in {row.definition.name for row in result.retrieved}
        found = client.search(place.root, "days an invoice is overdue", 3)
        assert found[0].definition.name == "overdue_days"
        assert client.status(place.root).no_vectors is None


def test_a_model_that_came_while_the_worker_ran_is_seen_by_a_retrieval_and_used_after_a_run(
    place: Place,
) -> None:
    write_files(place.root, INVOICING)
    place.index.mkdir()
    (place.index / "no model").touch()
    with place.connect() as client:
        assert "no model" in " ".join(client.index(place.root).notes)
        asked = query("def f(invoice):\n    invoice.overdue_days(")
        assert "no model" in client.retrieve(place.root, asked).unavailable["vector"]
        (place.index / "no model").unlink()
        wait_for(lambda: client.retrieve(place.root, asked).unavailable["vector"] == VECTORS_TO_BE_MADE)
        assert not client.index(place.root).notes
        assert not client.retrieve(place.root, asked).unavailable
        assert client.status(place.root).no_vectors is None


def test_what_an_open_file_may_need_is_told(place: Place) -> None:
    write_files(place.root, INVOICING)
    with place.connect() as client:
        client.index(place.root)
        saved = client.related(place.root, RelatedQuery("shop.py", 9))
        assert [found.qualified_name for found in saved] == [
            "Invoice",
            "Invoice.total",
            "remind",
            "Invoice.overdue_days",
        ]
        assert saved[0].span.start_line == 0
        unsaved = RelatedQuery("new.py", 1, "from billing.invoice import Invoice\n", "\nInvoice\n")
        assert client.related(place.root, unsaved) == saved[:1]


def test_files_of_the_index_are_the_users_alone(place: Place) -> None:
    write_files(place.root, INVOICING)
    with place.connect() as client:
        client.index(place.root)
    looked_at = 0
    for top in (place.index, place.runtime):
        for folder, _, names in os.walk(top):
            for path in (Path(folder), *(Path(folder, name) for name in names)):
                with contextlib.suppress(FileNotFoundError):  # a journal of the worker's, which goes on
                    assert path.lstat().st_mode & 0o077 == 0, path
                    looked_at += 1
    assert looked_at > 5


def test_a_worker_whose_settings_changed_ends_when_it_is_left_alone(place: Place) -> None:
    with place.connect() as client:
        assert not client.status(place.root).exists
        (place.index / "outdated").touch()
        assert not client.status(place.root).exists
        assert len(place.worker_pids()) == 1
    wait_for(lambda: not place.worker_pids())


def test_errors_arrive_as_the_kind_they_were(place: Place) -> None:
    with place.connect() as client, pytest.raises(RootError, match="does not exist"):
        client.index(place.root / "missing")


def test_one_changed_file_is_updated_alone(place: Place) -> None:
    write_files(place.root, INVOICING)
    with place.connect() as client:
        client.index(place.root)
        write_files(place.root, {"shop.py": INVOICING["shop.py"] + "\n\ndef refund() -> None:\n    pass\n"})
        changes = client.update(place.root, ["shop.py"])
        assert len(changes.added) == 1
        assert (changes.changed, changes.moved, changes.removed) == ((), (), ())
        assert client.search(place.root, "refund", 1)[0].definition.name == "refund"


def test_two_clients_that_start_at_once_share_one_worker(place: Place) -> None:
    write_files(place.root, INVOICING)
    pids: list[int] = []
    failures: list[BaseException] = []
    barrier = threading.Barrier(2)

    def start() -> None:
        try:
            barrier.wait()
            with place.connect() as client:
                client.index(place.root)
                pids.extend(place.worker_pids())
        except BaseException as error:  # noqa: BLE001 - asserted on below
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    wait_for(lambda: len(place.worker_pids()) == 1)


def test_a_worker_killed_during_a_run_loses_nothing_acknowledged(place: Place) -> None:
    write_files(place.root, MANY_FILES)
    n_done = 0

    def kill_half_way(progress: IndexProgress) -> None:
        nonlocal n_done
        if progress.phase == "parse" and not n_done:
            n_done = progress.n_done
            for pid in place.worker_pids():
                os.kill(pid, signal.SIGKILL)

    with place.connect() as client:
        with pytest.raises(WorkerError, match=r"ended|hangs"):
            client.index(place.root, on_progress=kill_half_way)
        assert n_done
        # The same client starts another worker by itself, over the socket of the dead one.
        assert client.status(place.root).n_files >= n_done
        summary = client.index(place.root)
    assert summary.is_complete
    assert summary.n_files_written <= len(MANY_FILES) - n_done
    assert summary.n_definitions == summary.n_embedded == N_EACH * len(MANY_FILES)


def test_a_worker_killed_while_embedding_is_completed_by_the_next(place: Place) -> None:
    write_files(place.root, MANY_FILES)

    def kill_while_embedding(progress: IndexProgress) -> None:
        if progress.phase == "embed":
            for pid in place.worker_pids():
                os.kill(pid, signal.SIGKILL)

    with place.connect() as client:
        with pytest.raises(WorkerError):
            client.index(place.root, on_progress=kill_while_embedding)
        before = client.status(place.root)
        assert 0 < before.n_embedded < before.n_definitions
        summary = client.index(place.root)
    assert summary.n_files_written == 0
    assert summary.n_definitions == summary.n_embedded == N_EACH * len(MANY_FILES)


def test_an_asker_that_goes_away_cancels_its_run_and_the_next_finishes_it(place: Place) -> None:
    write_files(place.root, MANY_FILES)

    def interrupt(progress: IndexProgress) -> None:
        if progress.phase == "parse":
            raise KeyboardInterrupt

    with place.connect() as client:
        with pytest.raises(KeyboardInterrupt):
            client.index(place.root, on_progress=interrupt)
        wait_for(lambda: not client.status(place.root).is_indexing)
        assert client.status(place.root).n_files < len(MANY_FILES)
        assert client.index(place.root).n_files == len(MANY_FILES)


def test_retrieval_answers_while_a_run_goes_on(place: Place) -> None:
    write_files(place.root, MANY_FILES)
    answers = []

    def ask(progress: IndexProgress) -> None:
        if progress.phase == "parse" and progress.n_done < len(MANY_FILES):
            answers.append(client.retrieve(place.root, query("x = work_0_1(")))

    with place.connect() as client:
        client.index(place.root, on_progress=ask)
    assert answers
    assert {row.definition.name for row in answers[-1].retrieved} >= {"work_0_1"}


def test_a_worker_ends_when_nobody_is_connected(place: Place) -> None:
    with place.connect(idle_s=0.2):
        assert place.worker_pids()
    wait_for(lambda: not place.worker_pids())


def test_a_worker_that_another_program_is_connected_to_is_not_ended_by_who_asks_whether_it_is_alone(
    place: Place,
) -> None:
    with place.connect() as client, place.connect() as other:
        assert not client.stop(only_if_alone=True)
        assert place.worker_pids()
        other.close()
        assert client.stop(only_if_alone=True)
        wait_for(lambda: not place.worker_pids())


def test_stop_ends_the_worker_and_the_next_call_starts_another(place: Place) -> None:
    write_files(place.root, INVOICING)
    with place.connect() as client:
        (first,) = place.worker_pids()
        client.stop()
        wait_for(lambda: first not in place.worker_pids())
        assert client.index(place.root).is_complete


def test_a_worker_that_dies_at_its_start_is_quoted(tmp_path: Path) -> None:
    command = ["python3", "-c", "raise SystemExit('no such model')"]
    with pytest.raises(WorkerError, match=r"no such model .*\.log") as caught:
        IndexClient.connect(tmp_path / "index", tmp_path / "run", start=command)
    assert "\n" not in str(caught.value)


def test_a_command_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="no-such-program"):
        IndexClient.connect(tmp_path / "index", tmp_path / "run", start=["no-such-program"])


def test_without_a_command_and_a_worker_it_fails(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="no index worker"):
        IndexClient.connect(tmp_path / "index", tmp_path / "run", start=None)


def test_a_long_runtime_folder_gets_a_short_socket(tmp_path: Path) -> None:
    meeting = index_meeting(tmp_path / "index", tmp_path / ("long" * 30))
    assert len(os.fsencode(meeting.address)) <= 100


def test_remove_deletes_the_index(place: Place) -> None:
    write_files(place.root, INVOICING)
    with place.connect() as client:
        client.index(place.root)
        assert client.remove(place.root) > 0
        assert not client.status(place.root).exists
        assert client.index(place.root).n_files == len(INVOICING)


def test_a_message_that_is_no_object_is_refused(tmp_path: Path) -> None:
    class Talker:
        def recv_bytes(self) -> bytes:
            return b"[1]"

    with pytest.raises(OSError, match="protocol"):
        receive(Talker())  # type: ignore[arg-type]


def test_bytes_that_are_no_message_are_refused(tmp_path: Path) -> None:
    class Talker:
        def recv_bytes(self) -> bytes:
            return b"\xff\xfe"

    with pytest.raises(OSError, match="protocol"):
        receive(Talker())  # type: ignore[arg-type]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the priority is the whole process's")
def test_indexing_leaves_the_priority_of_the_thread_that_asked_for_it() -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = niceness()
    assert at_low_priority(niceness) == max(before, 10)
    assert niceness() == before


def test_a_worker_that_is_out_of_handles_for_a_moment_goes_on_accepting() -> None:
    stopping = threading.Event()
    n_asked = 0

    class Busy:
        def accept(self) -> None:
            nonlocal n_asked
            n_asked += 1
            if n_asked == 2:
                stopping.set()
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    _accept(SimpleNamespace(stopping=stopping), Busy())  # type: ignore[arg-type]
    assert n_asked == 2
