import threading

import pytest

from lsp_server.engine import outbox
from lsp_server.engine.outbox import Outbox


class Held:
    """A channel that takes a message when it may; remembers who sent."""

    def __init__(self) -> None:
        self.may_send = threading.Semaphore(0)
        self.sent: list[bytes] = []
        self.senders: list[str] = []
        self.changed = threading.Condition()
        self.is_broken = False
        self.n_closed = 0

    def receive(self) -> bytes | None:
        return None

    def send(self, body: bytes) -> None:
        assert self.may_send.acquire(timeout=30)
        if self.is_broken:
            raise BrokenPipeError
        with self.changed:
            self.sent.append(body)
            self.senders.append(threading.current_thread().name)
            self.changed.notify_all()

    def close(self) -> None:
        with self.changed:
            self.n_closed += 1
            self.changed.notify_all()

    def until(self, n: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.sent) == n, 30)


def test_what_is_put_is_sent_in_order_without_anybody_waiting() -> None:
    channel = Held()
    box = Outbox(channel)
    box.put([b"1", b"2"])
    box.put([b"3"])
    channel.may_send.release(3)
    channel.until(3)
    assert channel.sent == [b"1", b"2", b"3"]
    assert set(channel.senders) == {"outbox"}
    box.close()


def test_a_flush_sends_in_its_own_thread() -> None:
    channel = Held()
    channel.may_send.release(2)
    box = Outbox(channel)
    box.put([b"1", b"2"], wake=False)
    box.flush()
    channel.until(2)
    assert channel.senders[0] == threading.current_thread().name
    box.close()


def test_a_flush_waits_while_too_much_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "_ENOUGH_BYTES", 3)
    channel = Held()
    box = Outbox(channel)
    box.put([b"1234"])  # the box's own thread is at it, or will be
    box.put([b"5"], wake=False)
    flushed = threading.Event()
    thread = threading.Thread(target=lambda: (box.flush(), flushed.set()))
    thread.start()
    assert not flushed.is_set()
    channel.may_send.release(2)
    assert flushed.wait(30)
    channel.until(2)
    assert channel.sent == [b"1234", b"5"]
    thread.join()
    box.close()


def test_many_threads_keep_the_order_of_each() -> None:
    channel = Held()
    channel.may_send.release(3_000)
    box = Outbox(channel)

    def put(name: str, *, flush: bool) -> None:
        for n in range(1_000):
            box.put([f"{name}{n}".encode()], wake=not flush)
            if flush:
                box.flush()

    threads = [threading.Thread(target=put, args=(name,), kwargs={"flush": name != "c"}) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    channel.until(3_000)
    for name in "abc":
        own = [body for body in channel.sent if body.startswith(name.encode())]
        assert own == [f"{name}{n}".encode() for n in range(1_000)]
    box.close()


def test_a_channel_that_breaks_is_closed_and_holds_nobody_up() -> None:
    channel = Held()
    channel.is_broken = True
    channel.may_send.release(1)
    box = Outbox(channel)
    box.put([b"1", b"2"], wake=False)
    box.flush()
    assert channel.n_closed == 1
    box.put([b"3"])
    box.flush()
    assert channel.sent == []
