from indexer.repository import IndexFolder
from lsp_server import assemble
from lsp_server.paths import Folders


def test_a_file_belongs_to_what_looks_like_a_repository_or_else_to_what_was_indexed(tmp_path):
    folders = Folders(tmp_path / "config", tmp_path / "models", tmp_path / "index", tmp_path / "run")
    plain = tmp_path / "plain"
    (plain / "deep").mkdir(parents=True)
    assert assemble.repository_of(plain / "deep" / "a.py", folders) is None
    index = IndexFolder.of(folders.index, plain)
    index.create()
    index.catalogue_file.touch()
    assert assemble.repository_of(plain / "deep" / "a.py", folders) == plain
    (plain / "deep" / ".git").mkdir()
    assert assemble.repository_of(plain / "deep" / "a.py", folders) == plain / "deep"


def test_a_path_that_climbs_out_of_a_repository_leaves_it(tmp_path):
    folders = Folders(tmp_path / "config", tmp_path / "models", tmp_path / "index", tmp_path / "run")
    (tmp_path / "shop").mkdir()
    index = IndexFolder.of(folders.index, tmp_path / "shop")
    index.create()
    index.catalogue_file.touch()
    assert assemble.repository_of(tmp_path / "shop" / ".." / "loose.py", folders) is None
