"""Which changes on the disk concern an index."""

import pytest

from lsp_server.server.watching import concerns


@pytest.fixture
def root(tmp_path):
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "names", "is_wide"),
    [
        ("a.py", {"a.py"}, False),
        ("src/b.ts", {"src/b.ts"}, False),
        ("README.md", {"README.md"}, False),
        ("a.bin", set(), False),
        (".git/index", set(), False),
        ("node_modules/x/index.js", set(), False),
        ("__pycache__/a.py", set(), False),
        (".gitignore", set(), True),
        ("src/.gitignore", set(), True),
        ("folder", set(), True),
        ("folder_that_went", set(), True),
    ],
)
def test_a_change_concerns_files_or_everything(root, name, names, is_wide):
    assert concerns(root, [root / name]) == (names, is_wide)


def test_what_lies_elsewhere_concerns_nobody(root):
    assert concerns(root, [root.parent / "a.py"]) == (set(), False)
