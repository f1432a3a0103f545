"""Models are pulled whole or not at all, whatever goes wrong; hub and package index are local fakes."""

import dataclasses
import errno
import hashlib
import random
import shutil
import socket
import threading
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from fake_servers import FakeServer, make_entry

import model.disk
import model.obtain
import model.store
from model.errors import (
    CatalogError,
    ChecksumError,
    ConversionError,
    DamagedModelError,
    DiskSpaceError,
    DownloadError,
    NotInstalledError,
    StoreError,
)
from model.manifest import write_manifest
from model.store import ModelStore
from model.types import ControlTokens, DecoderConfig, Manifest, Quantization

CONTENT = random.Random(5).randbytes(200_000)
ENTRY = make_entry(CONTENT)
HUB_PATH = f"/{ENTRY.hub_repo}/resolve/c0ffee/{ENTRY.hub_file}"
W8A8 = Quantization("w8a8", 8, rotated=True)
CONFIG = DecoderConfig(1, 1, 1, 1, 1, 1, 1, 1.0, 1.0, 1)
CONTROL = ControlTokens(0, 1, 2, 3, 4, 5, (0, 1, 2, 3, 4, 5))


class Converter:
    """Copies the weights in the place of a decoder, and counts; `fail` is raised half-way."""

    def __init__(self):
        self.n_runs = 0
        self.fail = None
        self.entered = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def __call__(self, source, target, *, adapter, on_progress, **facts):
        self.n_runs += 1
        self.entered.set()
        assert list(target.iterdir()) == []
        decoder = b"".join(
            path.read_bytes() for path in ([source] if source.is_file() else sorted(source.iterdir()))
        )
        (target / "decoder.data").write_bytes(decoder)
        on_progress("half", 0.5)
        self.may_go_on.wait()
        if self.fail:
            raise self.fail
        manifest = Manifest(
            name=facts["name"],
            format_version=1,
            config=CONFIG,
            control=CONTROL,
            quantization=facts["quantization"],
            source=facts["source_label"],
            source_sha256=facts["source_sha256"],
            adapter_sha256=hashlib.sha256(adapter.read_bytes()).hexdigest() if adapter else None,
            licence=facts["licence"],
            files={"decoder.data": hashlib.sha256(decoder).hexdigest()},
        )
        write_manifest(target, manifest)
        return manifest


@pytest.fixture
def hub(monkeypatch):
    fake = FakeServer()
    monkeypatch.setenv("HF_ENDPOINT", fake.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", fake.url + "/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setattr(model.obtain, "Downloads", partial(model.obtain.Downloads, pause=lambda _: None))
    yield fake
    fake.close()


@pytest.fixture
def converter():
    return Converter()


@pytest.fixture
def store(tmp_path, converter):
    return ModelStore(tmp_path / "models", catalog={"tiny": ENTRY}, convert=converter)


def _pull(store, spec="tiny", on_progress=lambda _: None, quantization=W8A8, **options):
    return store.pull(spec, on_progress=on_progress, quantization=quantization, **options)


def _serve_hub(hub, content=CONTENT):
    hub.put_hub_model(ENTRY.hub_repo, {ENTRY.hub_file: content})


def _files(folder: Path) -> list[str]:
    """Everything in the models folder but locks."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and ".locks" not in path.parts
    )


INSTALLED = ["tiny/decoder.data", "tiny/manifest.json"]


def test_a_pull_from_the_hub_installs_and_removes_the_download(hub, store, converter):
    _serve_hub(hub)
    phases = []
    pulled = _pull(store, on_progress=lambda progress: phases.append(progress.phase))
    assert pulled == store.find("tiny") == store.list()[0]
    assert pulled.manifest.source_sha256 == ENTRY.sha256
    assert (pulled.folder / "decoder.data").read_bytes() == CONTENT
    assert list(dict.fromkeys(phases)) == ["download", "verify", "convert"]
    assert _files(store.models_dir) == INSTALLED
    store.verify("tiny")


def test_the_models_folder_is_the_users_alone(hub, store):
    _serve_hub(hub)
    _pull(store)
    assert store.models_dir.stat().st_mode & 0o077 == 0


def test_without_the_hub_the_wheels_serve(hub, store):
    hub.put_wheels(ENTRY, CONTENT)
    assert _pull(store).manifest.source == "tiny"
    assert _files(store.models_dir) == INSTALLED


def test_what_the_hub_sent_before_it_broke_off_is_not_fetched_again(hub, store):
    _serve_hub(hub)
    paths = hub.put_wheels(ENTRY, CONTENT)
    hub.cut_after[HUB_PATH] = [150_000, 0, 0, 0, 0]
    _pull(store)
    assert [len(hub.asked_for(path)) for path in paths] == [0, 0, 1]


def test_another_file_on_the_hub_is_not_even_fetched(hub, store):
    _serve_hub(hub, CONTENT[::-1])
    hub.put_wheels(ENTRY, CONTENT)
    _pull(store)
    assert hub.asked_for(HUB_PATH) == []


def test_kept_weights_serve_another_conversion(hub, store, converter):
    _serve_hub(hub)
    _pull(store, keep_weights=True)
    hub.pages.clear()
    _pull(store, force=True)
    assert converter.n_runs == 2
    assert _files(store.models_dir) == INSTALLED


def test_a_wrong_byte_is_a_checksum_error_and_nothing_is_installed(hub, store, converter):
    hub.put_wheels(ENTRY, CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    with pytest.raises(ChecksumError, match=f"expected {ENTRY.sha256}"):
        _pull(store)
    assert converter.n_runs == 0
    assert store.list() == ()
    assert _files(store.models_dir) == []


def test_with_no_source_the_message_says_what_to_fetch_and_where_to_put_it(store, hub, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setenv("HF_ENDPOINT", closed)
    monkeypatch.setenv("PIP_INDEX_URL", closed + "/simple")
    with pytest.raises(DownloadError) as refused:
        _pull(store)
    message = str(refused.value)
    target = store.models_dir / ".downloads" / "tiny" / "tiny.gguf"
    for needed in (
        "Connection refused",
        f"Fetch tiny.gguf (200 kB, sha256 {ENTRY.sha256}) from {closed}/Some/Tiny-GGUF/resolve/main/",
        "`crosslight model pull /path/to/tiny.gguf`",
        f"or put it at {target} and pull again",
    ):
        assert needed in message
    assert "\n" not in message
    target.write_bytes(CONTENT)
    assert _pull(store).name == "tiny", "what the message says works"


def test_offline_the_hub_is_not_asked(hub, store, monkeypatch):
    _serve_hub(hub)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(
        DownloadError, match=r"the hub is switched off by HF_HUB_OFFLINE; .*some-part1/ answers 404"
    ):
        _pull(store)
    assert [asked.path for asked in hub.asked] == ["/simple/some-part1/"]


def test_a_local_file_with_the_pinned_bytes_is_the_catalog_model(hub, store, tmp_path):
    brought = tmp_path / "any name.gguf"
    brought.write_bytes(CONTENT)
    pulled = _pull(store, str(brought))
    assert (pulled.name, pulled.manifest.source, pulled.manifest.licence) == ("tiny", "tiny", "Apache-2.0")
    assert brought.exists(), "the user's own file stays"
    assert hub.asked == []


def test_a_local_file_cut_short_is_named(store, tmp_path):
    (tmp_path / "tiny.gguf").write_bytes(CONTENT[:-1])
    with pytest.raises(DownloadError, match=r"was cut short: it has 199,999 of 200,000 bytes"):
        _pull(store, str(tmp_path / "tiny.gguf"))


def test_a_wrong_file_put_where_the_download_goes_is_named(store, tmp_path):
    folder = store.models_dir / ".downloads" / "tiny"
    folder.mkdir(parents=True)
    (folder / "tiny.gguf").write_bytes(CONTENT[:-1])
    with pytest.raises(ChecksumError, match="it has 199,999 of 200,000 bytes; remove it"):
        _pull(store)


def test_a_local_folder_is_read_where_it_lies(store, tmp_path):
    folder = tmp_path / "My Model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_text("weights")
    pulled = _pull(store, str(folder))
    assert (pulled.name, pulled.manifest.source) == ("my-model", str(folder))
    assert len(list(folder.iterdir())) == 2


def test_a_hub_id_is_installed_under_a_name_of_its_own(hub, store):
    hub.put_hub_model(
        "Some/Coder", {"config.json": b"{}", "model.safetensors": b"w"}, cardData={"license": "mit"}
    )
    pulled = _pull(store, "Some/Coder")
    assert (pulled.name, pulled.manifest.source, pulled.manifest.licence) == (
        "some--coder",
        "Some/Coder",
        "mit",
    )
    hub.pages.clear()
    assert _pull(store, "Some/Coder") == pulled, "installed: no need of the hub"


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("nothing", "no model is called 'nothing'; known by name: tiny"),
        ("/no/such", "no file or folder /no/such"),
    ],
)
def test_what_is_unknown_is_told_with_what_is_known(store, spec, complaint):
    with pytest.raises(CatalogError, match=complaint):
        _pull(store, spec)
    assert not store.models_dir.exists()


def test_an_installed_model_is_not_made_again(hub, store, converter):
    _serve_hub(hub)
    first = _pull(store)
    hub.asked.clear()
    assert _pull(store) == _pull(store, quantization=None) == first
    assert (converter.n_runs, hub.asked) == (1, [])


def test_other_settings_make_it_again(store, converter, tmp_path):
    (tmp_path / "tiny.gguf").write_bytes(CONTENT)
    (tmp_path / "adapter").write_bytes(b"adapter")
    pull = partial(_pull, store, str(tmp_path / "tiny.gguf"))
    pull()
    assert pull(quantization=Quantization("w4a16", 8, rotated=False)).manifest.quantization.scheme == "w4a16"
    adapted = pull(adapter=tmp_path / "adapter", quantization=None)
    assert adapted.manifest.adapter_sha256 == hashlib.sha256(b"adapter").hexdigest()
    pull(adapter=tmp_path / "adapter", quantization=None)
    assert converter.n_runs == 3


def test_the_catalogs_adapter_is_merged_unless_declined(store, tmp_path, monkeypatch):
    (tmp_path / "tiny.gguf").write_bytes(CONTENT)
    entry = dataclasses.replace(ENTRY, adapter="adapter.safetensors")
    store = ModelStore(store.models_dir, catalog={"tiny": entry}, convert=Converter())
    monkeypatch.setattr(model.store, "_PACKAGE_DATA", tmp_path)
    pull = partial(_pull, store, str(tmp_path / "tiny.gguf"))
    with pytest.raises(ConversionError, match="which comes with Crosslight, is missing: reinstall it"):
        pull()
    (tmp_path / "adapter.safetensors").write_bytes(b"shipped")
    assert pull().manifest.adapter_sha256 == hashlib.sha256(b"shipped").hexdigest()
    assert pull(adapter="none").manifest.adapter_sha256 is None


def test_a_missing_adapter_is_named(store, tmp_path):
    with pytest.raises(ConversionError, match="there is no adapter file"):
        _pull(store, adapter=tmp_path / "none")


def test_a_changed_local_file_is_made_again_and_another_of_its_name_is_refused(store, converter, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.gguf").write_text(folder)
    _pull(store, str(tmp_path / "a" / "own.gguf"))
    (tmp_path / "a" / "own.gguf").write_text("changed")
    pulled = _pull(store, str(tmp_path / "a" / "own.gguf"))
    assert (pulled.folder / "decoder.data").read_text() == "changed"
    with pytest.raises(
        CatalogError, match=r"a model called own is installed from .*crosslight model remove own"
    ):
        _pull(store, str(tmp_path / "b" / "own.gguf"))
    assert (
        _pull(store, str(tmp_path / "b" / "own.gguf"), force=True).folder / "decoder.data"
    ).read_text() == "b"


class DiskUsage(NamedTuple):
    total: int
    used: int
    free: int


def test_too_little_room_is_found_before_anything_is_fetched(hub, store, monkeypatch):
    _serve_hub(hub)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: DiskUsage(10**9, 10**9, 150_000))
    with pytest.raises(
        DiskSpaceError, match=r"pulling tiny needs \d+ kB free, and .* has 150 kB left: free some"
    ):
        _pull(store)
    assert hub.asked == []
    assert _files(store.models_dir) == []


def _full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_fills_up_in_the_download_says_so_and_the_part_is_resumed(hub, store, monkeypatch):
    _serve_hub(hub)

    def full_later(progress):
        if progress.phase == "download" and progress.done > 60_000:
            _full()

    with pytest.raises(DiskSpaceError, match="pulling tiny ran out of disk"):
        _pull(store, on_progress=full_later)
    assert _files(store.models_dir) == [".downloads/tiny/tiny.gguf.part"]
    _pull(store)
    assert hub.asked_for(HUB_PATH)[1].range is not None


def _wrapped(error):
    wrapped = ConversionError("cannot write decoder.data")
    wrapped.__cause__ = error
    return wrapped


@pytest.mark.parametrize(
    ("failure", "free"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 10**9),
        (_wrapped(OSError(errno.ENOSPC, "No space left on device")), 10**9),
        (OSError("100 requested and 7 written"), 10),
    ],
    ids=["plain", "wrapped", "without a number"],
)
def test_a_disk_that_fills_up_in_the_conversion_leaves_no_half_model(
    hub, store, converter, monkeypatch, failure, free
):
    _serve_hub(hub)
    converter.fail = failure

    def on_progress(progress):
        if progress.phase == "convert":
            monkeypatch.setattr(model.disk.shutil, "disk_usage", lambda _: DiskUsage(10**9, 0, free))

    with pytest.raises(DiskSpaceError, match=r"converting tiny needs 1 kB, and .* left"):
        _pull(store, on_progress=on_progress)
    assert store.list() == ()
    assert _files(store.models_dir) == [".downloads/tiny/tiny.gguf"], "the weights serve the next attempt"


def test_weights_that_cannot_be_converted_leave_no_half_model(store, converter, tmp_path):
    (tmp_path / "own.gguf").write_bytes(b"GGUF")
    converter.fail = ConversionError("own.gguf ends early")
    with pytest.raises(ConversionError, match="ends early"):
        _pull(store, str(tmp_path / "own.gguf"))
    assert _files(store.models_dir) == []


def test_a_failed_pull_leaves_the_former_model_as_it_was(hub, store, converter):
    _serve_hub(hub)
    _pull(store)
    converter.fail = ConversionError("no")
    with pytest.raises(ConversionError):
        _pull(store, force=True)
    store.verify("tiny")


def test_a_folder_that_cannot_be_written_is_named(tmp_path, converter):
    (tmp_path / "file").write_text("in the way")
    store = ModelStore(tmp_path / "file" / "models", catalog={"tiny": ENTRY}, convert=converter)
    with pytest.raises(StoreError, match=r"pulling tiny cannot write in .*: make that folder yours to write"):
        _pull(store)


def test_a_read_only_folder_is_named(hub, store, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StoreError, match=r"\(Permission denied\)"):
        _pull(store)


@pytest.mark.parametrize("phase", ["download", "verify", "convert"])
def test_an_interruption_leaves_no_half_model_and_says_what_is_kept(hub, store, converter, phase):
    _serve_hub(hub)

    def interrupt(progress):
        if progress.phase == phase and progress.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        _pull(store, on_progress=interrupt)
    assert "are kept in" in stopped.value.__notes__[0]
    assert store.list() == ()
    (kept,) = _files(store.models_dir)
    assert kept.startswith(".downloads/tiny/tiny.gguf")
    n_kept = (store.models_dir / kept).stat().st_size
    _pull(store)
    resumed = [f"bytes={n_kept}-"] if n_kept < len(CONTENT) else []
    assert [asked.range for asked in hub.asked_for(HUB_PATH)] == [None, *resumed]
    assert _files(store.models_dir) == INSTALLED


def test_of_two_pulls_at_once_the_second_waits_and_finds_it_done(hub, store, converter):
    _serve_hub(hub)
    converter.may_go_on.clear()
    waited, results = threading.Event(), []

    def on_progress(progress):
        if progress.phase == "wait":
            waited.set()
            converter.may_go_on.set()

    first = threading.Thread(target=lambda: results.append(_pull(store)))
    second = threading.Thread(target=lambda: results.append(_pull(store, on_progress=on_progress)))
    first.start()
    assert converter.entered.wait(60)
    second.start()
    first.join()
    second.join()
    assert waited.is_set()
    assert results == [store.find("tiny")] * 2
    assert converter.n_runs == 1


def test_what_a_dead_process_left_is_cleared(hub, store):
    for name in ("tiny", "other"):
        left = store.models_dir / ".converting" / name
        left.mkdir(parents=True)
        (left / "decoder.data").write_text("half")
    _serve_hub(hub)
    _pull(store)
    assert _files(store.models_dir) == INSTALLED


def test_what_a_living_process_works_on_stays(hub, store, converter, tmp_path):
    _serve_hub(hub)
    (tmp_path / "own.gguf").write_text("own")
    converter.may_go_on.clear()
    thread = threading.Thread(target=lambda: _pull(store))
    thread.start()
    assert converter.entered.wait(60)
    other = ModelStore(store.models_dir, catalog={"tiny": ENTRY}, convert=Converter())
    _pull(other, str(tmp_path / "own.gguf"))
    converter.may_go_on.set()
    thread.join()
    assert [found.name for found in store.list()] == ["own", "tiny"]


def test_a_death_between_the_two_renames_gives_the_former_model_back(hub, store):
    _serve_hub(hub)
    folder = _pull(store).folder
    aside = store.models_dir / ".replaced" / "tiny"
    aside.parent.mkdir()
    folder.rename(aside)
    hub.pages.clear()
    assert _pull(store).name == "tiny"
    assert _files(store.models_dir) == INSTALLED


def test_verify_names_every_damaged_file(hub, store):
    _serve_hub(hub)
    folder = _pull(store).folder
    (folder / "decoder.data").write_bytes(CONTENT[:-1] + b"\0")
    counted = []
    with pytest.raises(
        DamagedModelError, match=r"other bytes in decoder\.data: run `crosslight model pull tiny --force`"
    ):
        store.verify("tiny", counted.append)
    assert (counted[-1].done, counted[-1].total) == (len(CONTENT), len(CONTENT))
    (folder / "decoder.data").unlink()
    with pytest.raises(DamagedModelError, match=r"lacks decoder\.data"):
        store.verify("tiny")
    assert store.list() == ()
    assert _pull(store).name == "tiny", "a pull repairs what lacks files"


def test_a_folder_that_is_no_model_is_not_listed(store):
    (store.models_dir / "notes").mkdir(parents=True)
    assert store.list() == ()
    with pytest.raises(DamagedModelError):
        store.find("notes")


@pytest.mark.parametrize("name", ["tiny", "other", "", ".", "..", ".locks", "../models", "a/b"])
def test_what_is_not_installed_says_how_to_get_it(store, name):
    for ask in (store.find, store.verify, store.remove):
        with pytest.raises(NotInstalledError, match="crosslight model pull"):
            ask(name)


def test_remove_frees_the_disk_of_model_and_download(hub, store):
    _serve_hub(hub)
    size = _pull(store, keep_weights=True).size_bytes
    assert store.remove("tiny") == size + len(CONTENT)
    assert _files(store.models_dir) == []
    with pytest.raises(NotInstalledError):
        store.remove("tiny")


def test_remove_clears_an_interrupted_download(hub, store):
    _serve_hub(hub)

    def interrupt(progress):
        if progress.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _pull(store, on_progress=interrupt)
    assert store.remove("tiny") > 0
    assert _files(store.models_dir) == []
