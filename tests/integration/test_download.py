"""Downloads against a server that breaks off, refuses, lies; all on 127.0.0.1."""

import hashlib
import random

import pytest
from fake_servers import FakeServer

from model.disk import sha256_of
from model.download import RemoteFile, complete, fetch, part_bytes, shown_url
from model.errors import ChecksumError, DownloadError
from model.network import make_client

CONTENT = random.Random(7).randbytes(300_000)
PATH = "/weights.bin"


@pytest.fixture
def server():
    fake = FakeServer()
    fake.put(PATH, CONTENT)
    yield fake
    fake.close()


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with make_client() as client:
        yield client


def _fetch(client, server, part, *, on_bytes=lambda _: None, **known):
    pauses = []
    file = RemoteFile(server.url + PATH, **known)
    fetch(client, file, part, on_bytes=on_bytes, pause=pauses.append)
    return pauses


def test_a_file_arrives_whole(client, server, tmp_path):
    counted = []
    _fetch(client, server, tmp_path / "part", on_bytes=counted.append, size_bytes=len(CONTENT))
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert counted[-1] == len(CONTENT)
    assert counted == sorted(counted)


@pytest.mark.parametrize("size_bytes", [len(CONTENT), None])
def test_a_dropped_connection_is_resumed_by_range(client, server, tmp_path, size_bytes):
    server.cut_after[PATH] = [100_000, 50_000]
    pauses = _fetch(client, server, tmp_path / "part", size_bytes=size_bytes)
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert [asked.range for asked in server.asked] == [None, "bytes=100000-", "bytes=150000-"]
    assert sum(asked.n_sent for asked in server.asked) == len(CONTENT)
    assert pauses == [0.5, 0.5], "a failure after progress counts as the first"


def test_an_earlier_run_is_resumed(client, server, tmp_path):
    (tmp_path / "part").write_bytes(CONTENT[:123_456])
    _fetch(client, server, tmp_path / "part", size_bytes=len(CONTENT))
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert [(asked.range, asked.n_sent) for asked in server.asked] == [("bytes=123456-", 300_000 - 123_456)]


def test_a_whole_part_asks_nothing(client, server, tmp_path):
    (tmp_path / "part").write_bytes(CONTENT)
    _fetch(client, server, tmp_path / "part", size_bytes=len(CONTENT))
    assert server.asked == []


def test_a_server_without_ranges_starts_over(client, server, tmp_path):
    server.without_ranges = True
    (tmp_path / "part").write_bytes(b"x" * 1000)
    _fetch(client, server, tmp_path / "part", size_bytes=len(CONTENT))
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_a_part_beyond_the_end_starts_over(client, server, tmp_path):
    (tmp_path / "part").write_bytes(b"x" * 400_000)
    _fetch(client, server, tmp_path / "part", size_bytes=len(CONTENT))
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_more_bytes_than_listed_are_refused(client, server, tmp_path):
    with pytest.raises(ChecksumError, match="sends more than the 200 kB"):
        _fetch(client, server, tmp_path / "part", size_bytes=200_000)
    assert not (tmp_path / "part").exists()


def test_a_busy_server_is_asked_again_and_given_up(client, server, tmp_path):
    server.refuse[PATH] = [503, 429]
    assert _fetch(client, server, tmp_path / "part") == [0.5, 1.0]
    server.refuse[PATH] = [503] * 9
    with pytest.raises(DownloadError, match=f"{PATH}: the server answers 503"):
        _fetch(client, server, tmp_path / "other")
    assert len(server.refuse[PATH]) == 5, "four attempts"


def test_a_missing_file_is_not_asked_for_again(client, server, tmp_path):
    server.pages.clear()
    with pytest.raises(DownloadError, match=f"{PATH}: the server answers 404 Not Found"):
        _fetch(client, server, tmp_path / "part")
    assert len(server.asked) == 1


def test_an_interruption_keeps_what_has_arrived(client, server, tmp_path):
    def interrupt(n_bytes):
        if n_bytes > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _fetch(client, server, tmp_path / "part", on_bytes=interrupt)
    kept = (tmp_path / "part").read_bytes()
    assert len(kept) > 100_000
    assert kept == CONTENT[: len(kept)]


def test_authorization_does_not_follow_a_redirect_to_another_host(client, server, tmp_path):
    store = FakeServer()
    store.put("/blob", CONTENT)
    server.redirects[PATH] = store.url + "/blob"
    try:
        _fetch(client, server, tmp_path / "part", headers={"Authorization": "Bearer secret"})
    finally:
        store.close()
    assert [asked.authorization for asked in server.asked] == ["Bearer secret"]
    assert [asked.authorization for asked in store.asked] == [None]


def _complete(client, server, folder):
    part, target = folder / "w.part", folder / "w"
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    complete(part, target, sha256, lambda: _fetch(client, server, part))
    return target


def test_a_wrong_byte_leaves_no_file(client, server, tmp_path):
    server.put(PATH, CONTENT[:-1] + b"\0")
    with pytest.raises(ChecksumError, match="nothing is installed"):
        _complete(client, server, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert len(server.asked) == 1


def test_a_bad_beginning_of_an_earlier_run_is_fetched_anew(client, server, tmp_path):
    (tmp_path / "w.part").write_bytes(b"x" * 1000)
    assert sha256_of(_complete(client, server, tmp_path)) == hashlib.sha256(CONTENT).hexdigest()
    assert [asked.range for asked in server.asked] == ["bytes=1000-", None]
    assert part_bytes(tmp_path / "w.part") == 0


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@host/a/b?signature=x#y", "https://host/a/b"),
        ("http://host:1/a@b", "http://host:1/a@b"),
    ],
)
def test_secrets_in_urls_are_not_shown(url, shown):
    assert shown_url(url) == shown
