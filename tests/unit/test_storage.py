import os
from pathlib import Path

import pytest

from indexer.errors import StoreError
from indexer.folders import own_folder
from indexer.wire import index_meeting

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a pipe has no folder")


def test_a_folder_of_ours_is_made_for_us_alone(tmp_path: Path) -> None:
    assert own_folder(tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_a_folder_of_ours_that_is_open_to_others_is_closed(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    assert own_folder(tmp_path / "open").stat().st_mode & 0o777 == 0o700


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(StoreError, match="XDG_RUNTIME_DIR"):
        own_folder(tmp_path / "link")


@pytest.mark.parametrize("folder", ["run", "long" * 30], ids=["runtime folder", "folder for a short name"])
def test_a_socket_never_lies_in_a_folder_of_someone_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    index_meeting(tmp_path / "index", tmp_path / folder)
    me = os.getuid()
    (tmp_path / f"crosslight-{me + 1}").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: me + 1)
    with pytest.raises(StoreError, match="belongs to someone else"):
        index_meeting(tmp_path / "index", tmp_path / folder)
