from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.ignore import IgnoreRules, is_ignored, outer_rules

CASES = [
    ("*.log", "a.log", False, True),
    ("*.log", "a/b.log", False, True),
    ("/a.log", "a.log", False, True),
    ("/a.log", "b/a.log", False, False),
    ("build/", "build", True, True),
    ("build/", "build", False, False),
    ("build/", "x/build", True, True),
    ("a/b", "x/a/b", False, False),
    ("a/b", "a/b", False, True),
    ("**/b", "a/c/b", False, True),
    ("a/**", "a", True, False),
    ("a/**", "a/b", False, True),
    ("a/**/b", "a/b", False, True),
    ("a/**/b", "a/c/d/b", False, True),
    ("a**b", "axxb", False, True),
    ("a**b/c", "ax/b/c", False, False),
    ("*\n!keep.py", "keep.py", False, False),
    ("*\n!*/\n!*.py", "a", True, False),
    ("*\n!*/\n!*.py", "a/x.txt", False, True),
    ("*\n!*/\n!*.py", "a/x.py", False, False),
    ("[a-c].py", "b.py", False, True),
    ("[!a-c].py", "b.py", False, False),
    ("[^a-c].py", "z.py", False, True),
    ("[[:digit:]].py", "3.py", False, True),
    ("[]].py", "].py", False, True),
    ("[a", "[a", False, False),
    ("a?c", "abc", False, True),
    ("a?c", "a/c", False, False),
    (r"\#x", "#x", False, True),
    ("#x", "#x", False, False),
    (r"\!x", "!x", False, True),
    ("x  ", "x", False, True),
    ("x\\ ", "x ", False, True),
    ("x\r\ny", "x", False, True),
    ("x\\", "x", False, False),
    ("\ufeffx", "x", False, True),
    ("", "x", False, False),
    ("/", "x", True, False),
    ("a.c", "abc", False, False),
    ("foo\n!foo/", "foo", True, False),
]


@pytest.mark.parametrize(("text", "path", "is_folder", "expected"), CASES)
def test_one_ignore_file(text: str, path: str, is_folder: bool, expected: bool) -> None:
    assert is_ignored(path, [IgnoreRules(text, "")], is_folder=is_folder) is expected


def test_the_nearest_rules_win() -> None:
    rules = [IgnoreRules("*.py\n", ""), IgnoreRules("!keep.py\n/only.txt\n", "a/")]
    assert is_ignored("keep.py", rules, is_folder=False)
    assert not is_ignored("a/keep.py", rules, is_folder=False)
    assert is_ignored("a/only.txt", rules, is_folder=False)
    assert not is_ignored("a/b/only.txt", rules, is_folder=False)


names = st.text("ab*?[]!-/\\. ", min_size=1, max_size=8)
paths = st.lists(
    st.text("ab. -", min_size=1, max_size=3).filter(lambda part: part.strip(". ")), min_size=1, max_size=3
)


@pytest.mark.skipif(shutil.which("git") is None, reason="git judges here")
@settings(max_examples=60, deadline=None)
@given(patterns=st.lists(names, min_size=1, max_size=4), folders=paths)
def test_rules_agree_with_git(
    tmp_path_factory: pytest.TempPathFactory, patterns: list[str], folders: list[str]
) -> None:
    root = tmp_path_factory.mktemp("repository")
    _git(root, "init", "-q")
    text = "\n".join(patterns)
    (root / ".gitignore").write_text(text)
    path = "/".join(folders)
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("")
    rules = [IgnoreRules(text, "")]
    ours = any(
        is_ignored("/".join(folders[:depth]), rules, is_folder=depth < len(folders))
        for depth in range(1, len(folders) + 1)
    )
    theirs = _git(root, "check-ignore", "-q", "--", path, check=False) == 0
    shutil.rmtree(root)
    assert ours == theirs, (text, path)


def test_rules_from_above_the_root_and_from_info_exclude(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config/git").mkdir(parents=True)
    (tmp_path / "config/git/ignore").write_text("*.swp\n")
    top = tmp_path / "top"
    (top / ".git/info").mkdir(parents=True)
    (top / ".git/info/exclude").write_text("mine.py\n")
    (top / ".gitignore").write_text("/lib/out\nbuild/\n")
    (top / "lib").mkdir()
    (top / "build").mkdir()
    rules = outer_rules(top / "lib")
    assert is_ignored("out", rules, is_folder=True)
    assert is_ignored("mine.py", rules, is_folder=False)
    assert is_ignored("a.swp", rules, is_folder=False)
    assert not is_ignored("sub/out", rules, is_folder=True)
    # A root that is itself ignored is wanted all the same.
    rules = outer_rules(top / "build")
    assert not is_ignored("a.py", rules, is_folder=False)
    assert is_ignored("a.swp", rules, is_folder=False)


def test_the_excludes_file_of_the_users_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    (tmp_path / ".gitconfig").write_text("[core]\n\texcludesFile = ~/ignored\n")
    (tmp_path / "ignored").write_text("*.bak\n")
    (tmp_path / "root").mkdir()
    assert is_ignored("a.bak", outer_rules(tmp_path / "root"), is_folder=False)


def _git(folder: Path, *arguments: str, check: bool = True) -> int:
    return subprocess.run(
        ["git", "-c", "core.excludesFile=/dev/null", "-C", str(folder), *arguments],
        check=check,
        capture_output=True,
    ).returncode


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 20 + "*b", "a" * 250),
        ("**/a/" * 12 + "b", "a/" * 500 + "c"),
        ("**/*a*a*a*a*b", "a" * 200 + "/" + "a" * 200),
    ],
)
def test_a_pattern_of_many_stars_is_soon_decided(pattern: str, path: str) -> None:
    assert IgnoreRules(pattern, "").judge(path, is_folder=False) is None
