import os
import sys
from pathlib import Path

import pytest

from lsp_server.paths import Folders

pytestmark = pytest.mark.skipif(
    sys.platform in {"win32", "darwin"}, reason="elsewhere the system gives a user a folder of their own"
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    return tmp_path


def test_sockets_go_to_the_sessions_runtime_folder(home: Path) -> None:
    (home / "run").mkdir(mode=0o700)
    assert Folders.of_user().runtime == home / "run" / "crosslight"


def test_a_runtime_folder_that_is_missing_is_not_used(home: Path) -> None:
    assert Folders.of_user().runtime == home / "cache" / "crosslight" / "run"


def test_a_runtime_folder_that_others_can_write_is_not_used(home: Path) -> None:
    (home / "run").mkdir()
    (home / "run").chmod(0o777)
    assert Folders.of_user().runtime == home / "cache" / "crosslight" / "run"


def test_a_runtime_folder_of_another_user_is_not_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "run").mkdir(mode=0o700)
    me = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: me + 1)
    assert Folders.of_user().runtime == home / "cache" / "crosslight" / "run"


def test_a_link_is_not_used_as_runtime_folder(home: Path) -> None:
    (home / "elsewhere").mkdir(mode=0o700)
    (home / "run").symlink_to(home / "elsewhere")
    assert Folders.of_user().runtime == home / "cache" / "crosslight" / "run"


def test_without_a_session_sockets_are_never_in_a_shared_place(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    runtime = Folders.of_user().runtime
    assert runtime in {Path(f"/run/user/{os.getuid()}/crosslight"), home / "cache" / "crosslight" / "run"}
