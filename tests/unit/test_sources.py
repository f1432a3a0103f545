"""What a user means by a model is made out without a network."""

import re

import pytest

from model import sources
from model.catalog import CATALOG_FILE, load_catalog
from model.errors import CatalogError
from model.sources import (
    CatalogSource,
    HubSource,
    LocalSource,
    identify,
    safe_name,
    weights_files,
    weights_sha256,
)

CATALOG = load_catalog(CATALOG_FILE)
NAME = "qwen2.5-coder-0.5b"


def test_a_catalog_name_is_that_entry():
    assert identify(NAME, CATALOG) == CatalogSource(CATALOG[NAME])


def test_a_local_path_wins_over_a_hub_id(tmp_path, monkeypatch):
    (tmp_path / "Owner" / "Name").mkdir(parents=True)
    (tmp_path / "Owner" / "Name" / "w.gguf").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert identify("Owner/Name", CATALOG) == LocalSource("name", tmp_path / "Owner" / "Name")
    assert identify("Owner/Other", CATALOG) == HubSource("owner--other", "Owner/Other")


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("Qwen/Qwen2.5-Coder-1.5B", "qwen--qwen2.5-coder-1.5b"),
        ("Some/Model-GGUF:model-Q4_K_M.gguf", "some--model-gguf--model-q4_k_m"),
        ("Some/Model-GGUF:sub/model.gguf", "some--model-gguf--sub--model"),
    ],
)
def test_a_hub_id_gives_a_folder_name(spec, name):
    assert identify(spec, CATALOG) == HubSource(name, spec)


@pytest.mark.parametrize(
    "spec", ["/no/such/thing", "./nothing.gguf", "../nothing", "~/nothing-at-all", "a/b/c", "w.gguf"]
)
def test_a_path_that_is_not_there_is_no_hub_id(spec):
    with pytest.raises(CatalogError, match=rf"there is no file or folder .*known by name: {NAME}"):
        identify(spec, CATALOG)


@pytest.mark.parametrize("spec", ["", "qwen", "no model", "a/..", "-x/--y"])
def test_an_unknown_name_lists_the_catalog(spec):
    with pytest.raises(CatalogError, match=rf"{NAME}"):
        identify(spec, CATALOG)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("My Model (v2)", "my-model-v2"),
        ("weights.GGUF", "weights"),
        ("..", "local"),
        ("", "local"),
        ("../../etc/passwd", "etc-passwd"),
        ("Ünïcode", "n-code"),
        ("CON", "local--con"),
        ("nul.txt", "local--nul.txt"),
        ("console", "console"),
        (NAME, f"local--{NAME}"),
        ("x" * 200, "x" * 80),
    ],
)
def test_every_name_is_a_safe_folder_name(text, expected):
    name = safe_name(text, CATALOG)
    assert name == expected
    assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name)


def test_the_files_of_a_model_are_chosen(tmp_path):
    with pytest.raises(CatalogError, match="holds no model"):
        weights_files(tmp_path)
    for name in ("a.gguf", "README.md"):
        (tmp_path / name).write_text(name)
    assert weights_files(tmp_path) == (tmp_path / "a.gguf",)
    (tmp_path / "b.gguf").write_text("b")
    with pytest.raises(CatalogError, match="holds 2 GGUF files: name one"):
        weights_files(tmp_path)
    for name in ("model-2.safetensors", "model-1.safetensors", "config.json", "tokenizer.json"):
        (tmp_path / name).write_text(name)
    assert [path.name for path in weights_files(tmp_path)] == [
        "config.json",
        "tokenizer.json",
        "model-1.safetensors",
        "model-2.safetensors",
    ]


def test_any_changed_byte_changes_the_hash_of_the_weights(tmp_path):
    for name in ("model.safetensors", "config.json"):
        (tmp_path / name).write_text(name)
    before = weights_sha256(tmp_path)
    (tmp_path / "notes.txt").write_text("not a part of the model")
    assert weights_sha256(tmp_path) == before
    (tmp_path / "config.json").write_text("other")
    assert weights_sha256(tmp_path) != before


def test_a_file_that_is_no_gguf_is_refused(tmp_path):
    (tmp_path / "weights.bin").write_text("x")
    with pytest.raises(CatalogError, match=r"neither a \.gguf file nor a folder"):
        identify(str(tmp_path / "weights.bin"), CATALOG)


def test_weights_that_cannot_be_read_are_named(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "w.gguf").write_bytes(b"x")
    monkeypatch.setattr(sources, "sha256_of", refuse)
    with pytest.raises(CatalogError, match=r"w\.gguf cannot be read: Permission denied"):
        weights_sha256(tmp_path / "w.gguf")
