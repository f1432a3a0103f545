import dataclasses
import json

import pytest
from tiny_model import CONFIG, tiny_vocabulary

from model.errors import DamagedModelError
from model.manifest import FORMAT_VERSION, MANIFEST_FILE, read_manifest, write_manifest
from model.types import Manifest, Quantization
from model.vocabulary import control_tokens

MANIFEST = Manifest(
    name="tiny",
    format_version=FORMAT_VERSION,
    config=CONFIG,
    control=control_tokens(tiny_vocabulary(), CONFIG.vocab_size),
    quantization=Quantization("w8a8", 8, rotated=True),
    source="a test — ünïcode",
    source_sha256="0" * 64,
    adapter_sha256=None,
    licence="Apache-2.0",
    files={"decoder.onnx": "1" * 64, "decoder.data": "2" * 64},
)


def test_what_is_written_is_read(tmp_path):
    write_manifest(tmp_path, MANIFEST)
    assert read_manifest(tmp_path) == MANIFEST
    with_adapter = dataclasses.replace(MANIFEST, adapter_sha256="3" * 64)
    write_manifest(tmp_path, with_adapter)
    assert read_manifest(tmp_path) == with_adapter


def test_the_model_hash_depends_on_the_files_and_not_on_the_name():
    assert dataclasses.replace(MANIFEST, name="other").model_hash == MANIFEST.model_hash
    files = {"decoder.onnx": "1" * 64, "decoder.data": "3" * 64}
    assert dataclasses.replace(MANIFEST, files=files).model_hash != MANIFEST.model_hash


def test_another_format_version_names_the_cure(tmp_path):
    write_manifest(tmp_path, dataclasses.replace(MANIFEST, format_version=99))
    with pytest.raises(DamagedModelError, match=r"format 99 .* `crosslight model pull .* --force`"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("licence"),
        lambda d: d.update(unknown=1),
        lambda d: d.update(name=3),
        lambda d: d.update(config=None),
        lambda d: d["config"].pop("n_layers"),
        lambda d: d["config"].update(n_layers="24"),
        lambda d: d["config"].update(n_layers=True),
        lambda d: d["control"].update(fim_middle=1.5),
        lambda d: d["quantization"].update(rotated=1),
        lambda d: d.update(files=["decoder.onnx"]),
        lambda d: d.update(files={"decoder.onnx": 1}),
    ],
)
def test_a_damaged_manifest_is_one_clear_line(tmp_path, change):
    write_manifest(tmp_path, MANIFEST)
    path = tmp_path / MANIFEST_FILE
    document = json.loads(path.read_text("utf-8"))
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(DamagedModelError, match="pull") as raised:
        read_manifest(tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\ufeff"])
def test_what_is_no_manifest_is_one_clear_line(tmp_path, text):
    (tmp_path / MANIFEST_FILE).write_text(text, "utf-8")
    with pytest.raises(DamagedModelError, match="pull"):
        read_manifest(tmp_path)


def test_a_missing_manifest_is_one_clear_line(tmp_path):
    with pytest.raises(DamagedModelError, match="pull"):
        read_manifest(tmp_path)
