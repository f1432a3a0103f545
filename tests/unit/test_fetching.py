"""What the editors' tests fetch: once, complete or not at all, and skipped only where a platform lacks it."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor

import fetching
import pytest


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "crosslight" / "editors"


def answering(**outputs):
    """Stand in for programs that print something and fail if that is an error."""

    def run(command, *, check):
        said = outputs.get(command[0].rpartition("/")[2], "")
        failed = said.startswith("ERROR")
        return subprocess.CompletedProcess(
            command, int(failed), "" if failed else said, said if failed else ""
        )

    return run


def test_what_is_fetched_is_made_once_however_many_ask():
    made = []

    def make(place):
        made.append(place)
        (place / "program").write_text("runs")

    with ThreadPoolExecutor(8) as askers:
        found = list(askers.map(lambda _: fetching.fetched("one", make), range(8)))
    assert len(made) == 1
    assert {place / "program" for place in found} == {fetching.editors_folder() / "one" / "program"}
    assert (found[0] / "program").read_text() == "runs"


def test_what_failed_leaves_nothing_and_is_tried_again(folder):
    def fail(place):
        (place / "half").touch()
        raise RuntimeError("the network is gone")

    with pytest.raises(RuntimeError, match="the network is gone"):
        fetching.fetched("one", fail)
    assert [one.name for one in folder.iterdir()] == ["one.lock"]
    assert fetching.fetched("one", lambda place: (place / "whole").touch()).joinpath("whole").exists()


def test_the_folder_is_the_users_alone(folder):
    assert fetching.editors_folder() == folder
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_platform_without_a_wheel_lacks_it(monkeypatch, tmp_path):
    said = "ERROR: No matching distribution found for thing"
    monkeypatch.setattr(
        fetching, "_run", lambda command, *, check: answering(python=said)(["python"], check=check)
    )
    with pytest.raises(fetching.Unavailable, match="no wheel of thing"):
        fetching.unpack_wheel("thing", tmp_path)


def test_a_download_that_failed_is_an_error_and_no_lack(monkeypatch, tmp_path):
    said = "ERROR: connection reset"
    monkeypatch.setattr(
        fetching, "_run", lambda command, *, check: answering(python=said)(["python"], check=check)
    )
    with pytest.raises(RuntimeError, match="connection reset"):
        fetching.unpack_wheel("thing", tmp_path)


def test_a_system_that_is_no_debian_lacks_its_packages(monkeypatch, tmp_path):
    monkeypatch.setattr(fetching.shutil, "which", lambda program: None)
    with pytest.raises(fetching.Unavailable, match="no apt-get here"):
        fetching.unpack_debian(["thing"], "forky", tmp_path)


@pytest.mark.parametrize(
    ("targets", "mirror"),
    [
        ("old main http://near/debian/\n", "http://near/debian/"),
        ("stable main http://other/\nold contrib http://c/\nold main http://near/\n", "http://near/"),
        ("nodistro main http://other/\n", "http://deb.debian.org/debian"),
        ("", "http://deb.debian.org/debian"),
    ],
)
def test_packages_come_from_where_the_machines_own_come_from(monkeypatch, targets, mirror):
    release = {"VERSION_CODENAME": "old"}
    monkeypatch.setattr(fetching.platform, "freedesktop_os_release", lambda: release)
    monkeypatch.setattr(fetching, "_run", answering(**{"apt-get": targets}))
    assert fetching._mirror() == mirror
