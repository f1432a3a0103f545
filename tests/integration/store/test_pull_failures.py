"""Models are pulled whole or not at all, whatever goes wrong."""

import errno
from pathlib import Path
from typing import NamedTuple

import pytest
from pulling import (
    CONTENT,
    ENTRY,
    HUB_PATH,
    INSTALLED,
    files_in,
    pull,
    serve_hub,
)
from tiny_model import random_tensors, write_gguf

from model.errors import (
    ConversionError,
    DiskSpaceError,
    StoreError,
)
from model.importer import convert
from model.store import ModelStore
from model.types import Quantization


class DiskUsage(NamedTuple):
    total: int
    used: int
    free: int


FULL = OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_fills_up_in_the_download_says_so_and_the_part_is_resumed(hub, store, monkeypatch):
    serve_hub(hub)

    def full_later(progress):
        if progress.phase == "download" and progress.done > 60_000:
            raise FULL

    with pytest.raises(DiskSpaceError, match="pulling tiny ran out of disk"):
        pull(store, on_progress=full_later)
    assert files_in(store.models_dir) == [".downloads/tiny/tiny.gguf.part"]
    pull(store)
    assert hub.asked_for(HUB_PATH)[1].range is not None


def test_a_disk_that_fills_up_in_the_conversion_leaves_no_half_model(hub, store, converter):
    serve_hub(hub)
    converter.fail = FULL
    with pytest.raises(DiskSpaceError, match=r"converting tiny needs 1 kB, and .* left"):
        pull(store)
    assert store.list() == ()
    assert files_in(store.models_dir) == [".downloads/tiny/tiny.gguf"], "the weights serve the next attempt"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize(
    "file",
    ["decoder.data", "decoder.onnx", "token_vectors.npy", "tokenizer.json", "token_bytes.npz"],
)
def test_a_disk_that_fills_up_under_any_file_of_the_importer_says_so(tmp_path, file):
    def convert_on_a_full_disk(source, target, **facts):
        (target / file).symlink_to("/dev/full")
        return convert(source, target, **facts)

    fp32 = Quantization("fp32", 32, rotated=False)  # large enough that arrays go to the data file
    store = ModelStore(tmp_path / "models", catalog={}, convert=convert_on_a_full_disk)
    source = write_gguf(tmp_path / "own.gguf", random_tensors())
    with pytest.raises(DiskSpaceError, match=r"converting own needs \d+ .B, and .* left: free"):
        pull(store, str(source), quantization=fp32)
    assert files_in(store.models_dir) == []


def test_weights_that_cannot_be_converted_leave_no_half_model(store, converter, tmp_path):
    (tmp_path / "own.gguf").write_bytes(b"GGUF")
    converter.fail = ConversionError("own.gguf ends early")
    with pytest.raises(ConversionError, match="ends early"):
        pull(store, str(tmp_path / "own.gguf"))
    assert files_in(store.models_dir) == []


def test_a_failed_pull_leaves_the_former_model_as_it_was(hub, store, converter):
    serve_hub(hub)
    pull(store)
    converter.fail = ConversionError("no")
    with pytest.raises(ConversionError):
        pull(store, force=True)
    store.verify("tiny")


def test_a_folder_that_cannot_be_written_is_named(tmp_path, converter):
    (tmp_path / "file").write_text("in the way")
    store = ModelStore(tmp_path / "file" / "models", catalog={"tiny": ENTRY}, convert=converter)
    with pytest.raises(StoreError, match=r"pulling tiny cannot write in .*: make that folder yours to write"):
        pull(store)


def test_a_read_only_folder_is_named(hub, store, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StoreError, match=r"\(Permission denied\)"):
        pull(store)


@pytest.mark.parametrize("phase", ["download", "verify", "convert"])
def test_an_interruption_leaves_no_half_model_and_says_what_is_kept(hub, store, converter, phase):
    serve_hub(hub)

    def interrupt(progress):
        if progress.phase == phase and progress.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        pull(store, on_progress=interrupt)
    assert "are kept in" in stopped.value.__notes__[0]
    assert store.list() == ()
    (kept,) = files_in(store.models_dir)
    assert kept.startswith(".downloads/tiny/tiny.gguf")
    n_kept = (store.models_dir / kept).stat().st_size
    pull(store)
    resumed = [f"bytes={n_kept}-"] if n_kept < len(CONTENT) else []
    assert [asked.range for asked in hub.asked_for(HUB_PATH)] == [None, *resumed]
    assert files_in(store.models_dir) == INSTALLED
