"""Open documents: where they lie, what language they are in, what stands around a cursor."""

from pathlib import Path

import pytest

from lsp_server.server.buffer import Position
from lsp_server.server.documents import Change, Documents
from lsp_server.server.places import WorkspaceFolders, language_for, path_of
from lsp_server.server.recent_edits import RecentEdits


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "shop"
    (root / ".git").mkdir(parents=True)
    (root / "src").mkdir()
    return root


def opened(folders, uri, text="", language_id="python", notebook=None):
    documents = Documents("utf-16", folders)
    return documents, documents.open(uri, language_id, 1, text, notebook)


def test_a_file_is_named_by_its_repository(repository):
    _, document = opened(WorkspaceFolders(), (repository / "src" / "app.py").as_uri())
    assert (document.place.root, document.place.path) == (repository, "src/app.py")
    assert document.place.repo_name == "shop"


def test_a_folder_without_version_control_is_a_repository(tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    folders = WorkspaceFolders([folder.as_uri()])
    _, document = opened(folders, (folder / "a b.py").as_uri())
    assert (document.place.root, document.place.path) == (folder, "a b.py")
    assert folders.roots() == (folder,)


def test_a_repository_wins_over_the_folder_that_is_open_inside_of_it(repository):
    folders = WorkspaceFolders([(repository / "src").as_uri()])
    assert folders.root_of(repository / "src" / "app.py") == repository


def test_a_project_file_above_the_open_folder_makes_no_repository(tmp_path):
    (tmp_path / "package.json").write_text("{}")
    (tmp_path / "inner").mkdir()
    folders = WorkspaceFolders([(tmp_path / "inner").as_uri()])
    assert folders.root_of(tmp_path / "inner" / "a.py") == tmp_path / "inner"


def test_a_library_that_is_looked_into_is_no_repository(tmp_path):
    for name in ("open", "library"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyproject.toml").write_text("")
    folders = WorkspaceFolders([(tmp_path / "open").as_uri()])
    assert folders.root_of(tmp_path / "open" / "a.py") == tmp_path / "open"
    assert folders.root_of(tmp_path / "library" / "a.py") is None
    assert WorkspaceFolders().root_of(tmp_path / "library" / "a.py") == tmp_path / "library"


def test_projects_in_one_open_folder_are_one_repository(tmp_path):
    (tmp_path / "packages" / "a").mkdir(parents=True)
    (tmp_path / "packages" / "a" / "package.json").write_text("{}")
    folders = WorkspaceFolders([tmp_path.as_uri()])
    assert folders.root_of(tmp_path / "packages" / "a" / "index.js") == tmp_path


def test_a_home_folder_is_no_repository(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    folders = WorkspaceFolders([tmp_path.as_uri()])
    assert folders.root_of(tmp_path / "a.py") is None
    assert folders.roots() == ()
    assert WorkspaceFolders(["file:///"]).root_of(tmp_path / "a.py") is None


def test_a_file_outside_of_any_repository_is_its_name(tmp_path):
    _, document = opened(WorkspaceFolders(), (tmp_path / "a.py").as_uri())
    assert (document.place.root, document.place.path) == (None, "a.py")


@pytest.mark.parametrize(
    ("uri", "path"),
    [("untitled:Untitled-1", "Untitled-1.py"), ("untitled:", "untitled.py"), ("file://", "untitled.py")],
)
def test_what_was_never_saved_belongs_to_the_first_folder(repository, uri, path):
    _, document = opened(WorkspaceFolders([repository.as_uri()]), uri)
    assert (document.place.root, document.place.path, document.place.file) == (repository, path, None)


@pytest.mark.parametrize(
    "uri", ["git:/x/a.py?HEAD", "output:log", "vscode-vfs://github/a/b.py", "", "x", "file:"]
)
def test_what_is_no_file_has_no_place(uri):
    assert opened(WorkspaceFolders(), uri)[1].place is None


def test_folders_come_and_go_while_files_are_open(tmp_path):
    folders = WorkspaceFolders()
    documents, document = opened(folders, (tmp_path / "a.py").as_uri())
    folders.add(tmp_path.as_uri())
    documents.place_again()
    assert document.place.root == tmp_path
    folders.remove(tmp_path.as_uri())
    documents.place_again()
    assert document.place.root is None


@pytest.mark.parametrize(
    ("language_id", "uri", "text", "language"),
    [
        ("python", "file:///a", "", "python"),
        ("typescriptreact", "file:///a.tsx", "", "tsx"),
        ("javascriptreact", "file:///a.jsx", "", "javascript"),
        ("plaintext", "file:///a.go", "", "go"),
        ("shellscript", "untitled:1", "", "bash"),
        ("", "file:///run", "#!/usr/bin/env python3\n", "python"),
        ("elm", "file:///a.elm", "", None),
    ],
)
def test_the_editors_language_comes_first(language_id, uri, text, language):
    assert language_for(language_id, uri, text) == language


def test_a_path_is_read_from_its_uri():
    assert str(path_of("file:///a%20b/c%23.py")) == "/a b/c#.py"
    assert str(path_of("vscode-notebook-cell:/n/x.ipynb#W0")) == "/n/x.ipynb"


def test_edits_apply_one_after_the_other():
    documents, document = opened(WorkspaceFolders(), "untitled:1", "ab")
    edits = [Change("x", Position(0, 0), Position(0, 1)), Change("!", Position(0, 2), Position(0, 2))]
    documents.change("untitled:1", 2, edits)
    assert (document.buffer.text, document.version) == ("xb!", 2)
    documents.change("untitled:1", 3, [Change("new")])
    assert document.buffer.text == "new"


def test_an_edit_of_what_is_not_open_is_ignored():
    documents, _ = opened(WorkspaceFolders(), "untitled:1")
    assert documents.change("untitled:2", 1, [Change("x")]) is None
    assert documents.close("untitled:2") is None


def test_before_a_cell_stand_the_earlier_cells_of_its_language(tmp_path):
    notebook = (tmp_path / "n.ipynb").as_uri()
    documents = Documents("utf-16", WorkspaceFolders())
    documents.open_notebook(notebook, ["c:1", "c:2", "c:3", "c:4"])
    for uri, language_id, text in (
        ("c:1", "python", "import os\n"),
        ("c:2", "markdown", "# Title"),
        ("c:3", "python", "os."),
        ("c:4", "python", "later"),
    ):
        documents.open(uri, language_id, 1, text, notebook)
    cell = documents.get("c:3")
    assert documents.around(cell, Position(0, 3)) == ("import os\n\nos.", "")
    assert cell.place.path == "n.py"
    documents.move_cells(notebook, 0, 1, [])
    assert documents.around(cell, Position(0, 3)) == ("os.", "")
    documents.close_notebook(notebook)
    assert documents.get("c:3") is None


def test_recent_files_come_last_first(tmp_path):
    documents = Documents("utf-16", WorkspaceFolders())
    uris = [(tmp_path / f"{n}.py").as_uri() for n in range(3)]
    for uri in uris:
        document = documents.open(uri, "python", 1, "")
    documents.change(uris[0], 2, [Change("x")])
    assert [file.name for file in documents.recent_files(document)] == ["0.py", "1.py"]


# What was edited last


def edit(documents, uri, line, text, end_line=None):
    end = Position(line if end_line is None else end_line, 99)
    documents.change(uri, 2, [Change(text, Position(line, 0), end)])


def test_what_was_edited_last_elsewhere_is_known_and_nothing_of_another_repository(tmp_path):
    folders = WorkspaceFolders([(tmp_path / name).as_uri() for name in ("shop", "other")])
    documents = Documents("utf-8", folders)
    one, two, three, far = (
        documents.open((tmp_path / path).as_uri(), "python", 1, "a\nb\nc\n")
        for path in ("shop/one.py", "shop/two.py", "shop/three.py", "other/far.py")
    )
    for document, line, text in (
        (two, 2, "z"),
        (far, 0, "secret"),
        (two, 0, "x"),
        (three, 1, "y"),
        (one, 0, "w"),
    ):
        edit(documents, document.uri, line, text)
    assert documents.edits_elsewhere(one) == ("y", "x\nz")
    assert documents.edits_elsewhere(far) == ()
    documents.close(three.uri)
    assert documents.edits_elsewhere(one) == ("x\nz",)


def test_a_line_that_is_typed_is_one_edit_and_a_text_that_came_from_elsewhere_none():
    documents, document = opened(WorkspaceFolders(), "untitled:1", "a\n" * 40)
    for text in ("x", "xy", "xyz"):
        edit(documents, document.uri, 1, text)
    assert documents.recent_edits.of(document.uri) == "xyz"
    edit(documents, document.uri, 3, "p\n\nq")
    assert documents.recent_edits.of(document.uri) == "xyz\np\nq"
    edit(documents, document.uri, 0, "n\n" * 30)
    documents.change(document.uri, 3, [Change("all of it")])
    assert documents.recent_edits.of(document.uri) == "xyz\np\nq"


def test_only_the_last_lines_are_kept():
    edits = RecentEdits()
    for number in range(40):
        edits.note("a", number, [f"line {number}"])
    assert edits.of("a").split("\n") == [f"line {number}" for number in range(8, 40)]


def test_of_a_long_edit_no_more_lines_are_read_than_tell_that_it_is_long():
    edits, lines = RecentEdits(), iter(["x"] * 1000)
    edits.note("a", 0, lines)
    assert len(list(lines)) > 900
    assert edits.of("a") == ""
