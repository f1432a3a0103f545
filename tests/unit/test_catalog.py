"""The catalog is checked when it is read."""

import json

import pytest

from model.catalog import CATALOG_FILE, DEFAULT_MODEL, load_catalog
from model.errors import CatalogError


def test_the_shipped_catalog_holds_the_default_model():
    entry = load_catalog()[DEFAULT_MODEL]
    assert entry.size_bytes == 491_400_064
    assert entry.boundaries[-1] == entry.size_bytes
    assert len(entry.wheels) == 6


def _changed(path, change):
    document = json.loads(CATALOG_FILE.read_text("utf-8"))
    change(document)
    path.write_text(json.dumps(document), "utf-8")
    return path


def _entry(document):
    return document["models"][DEFAULT_MODEL]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda d: d.update(format=2), "is not of format 1"),
        (lambda d: d.pop("models"), "has no object 'models'"),
        (lambda d: _entry(d).pop("licence"), "its licence is missing"),
        (lambda d: _entry(d).update(size_bytes="491400064"), "its size_bytes is missing or not of type int"),
        (lambda d: _entry(d).update(size_bytes=1), "its wheels do not add up to its size"),
        (lambda d: _entry(d).update(sha256="1D96"), "its sha256 is not"),
        (lambda d: _entry(d).update(installed_bytes=0), "a size is not positive"),
        (lambda d: _entry(d).update(hub_file="../weights.gguf"), "leads elsewhere"),
        (lambda d: _entry(d).update(adapter="/etc/passwd"), "leads elsewhere"),
        (lambda d: _entry(d).update(hub_repo="name"), "OWNER/NAME"),
        (lambda d: _entry(d)["wheels"][0].pop("member"), "its member is missing"),
        (lambda d: d["models"].update({"../x": _entry(d)}), "not a safe folder name"),
        (lambda d: d["models"].update({"x": 3}), "entry 'x'"),
    ],
)
def test_a_bad_entry_is_refused_by_name(tmp_path, change, complaint):
    path = _changed(tmp_path / "catalog.json", change)
    with pytest.raises(CatalogError, match=complaint) as refused:
        load_catalog(path)
    assert str(path) in str(refused.value)


def test_a_file_that_is_no_json_is_refused(tmp_path):
    path = tmp_path / "catalog.json"
    path.write_text("{", "utf-8")
    with pytest.raises(CatalogError, match="cannot be read"):
        load_catalog(path)
    with pytest.raises(CatalogError, match="cannot be read"):
        load_catalog(tmp_path / "missing.json")
