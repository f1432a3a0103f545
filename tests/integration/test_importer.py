import dataclasses

import numpy as np
import pytest
from safetensors.numpy import save_file
from tiny_model import CONFIG, ArrayWeights, random_tensors, reference_logits, write_folder, write_gguf

from model.adapter import with_adapter
from model.disk import sha256_of
from model.errors import ConversionError
from model.importer import convert
from model.manifest import MANIFEST_FILE, read_manifest
from model.quantize import default_quantization
from model.session import load_decoder
from model.state import DecodeState
from model.tokenizer import TOKENIZER_FILE, Tokenizer
from model.types import Quantization

FACTS = {
    "name": "tiny",
    "source_label": "a test",
    "source_sha256": "0" * 64,
    "licence": "Apache-2.0",
    "quantization": default_quantization(processor_saturates=False),
    "adapter": None,
}


@pytest.fixture
def source(tmp_path):
    return write_gguf(tmp_path / "m.gguf", random_tensors())


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def run(source, target, **changes):
    steps = []
    manifest = convert(source, target, **(FACTS | changes), on_progress=lambda *step: steps.append(step))
    return manifest, steps


def adapter_file(tmp_path, notes=None):
    path = tmp_path / "adapter.safetensors"
    q = "model.layers.0.self_attn.q_proj.lora_"
    rng = np.random.default_rng(5)
    factors = {q + "A": rng.standard_normal((2, 96)) / 10, q + "B": rng.standard_normal((96, 2)) / 10}
    tensors = {name: factor.astype(np.float32) for name, factor in factors.items()}
    save_file(tensors, path, {"r": "2", "alpha": "4"})
    if notes:
        path.with_suffix(".json").write_text(notes)
    return path


def test_a_converted_folder_describes_itself(source, target):
    manifest, _ = run(source, target)
    assert read_manifest(target) == manifest
    assert manifest.config == CONFIG
    assert {path.name for path in target.iterdir()} == {*manifest.files, MANIFEST_FILE}
    assert all(sha256_of(target / name) == sha256 for name, sha256 in manifest.files.items())
    assert manifest.adapter_sha256 is None
    assert Tokenizer.from_file(target / TOKENIZER_FILE, manifest.control).vocab_size == CONFIG.vocab_size


IDS = [5, 17, 300, 17, 2, 250, 99, 4]


@pytest.mark.parametrize(
    ("quantization", "tolerance"),
    [(Quantization("fp32", 8, rotated=False), 1e-5), (Quantization("w8a8", 8, rotated=True), 0.15)],
)
@pytest.mark.parametrize("form", ["gguf", "folder"])
def test_a_converted_model_computes_what_its_weights_say(target, tmp_path, form, quantization, tolerance):
    tensors = random_tensors()
    source = (
        write_gguf(tmp_path / "m.gguf", tensors) if form == "gguf" else write_folder(tmp_path / "m", tensors)
    )
    adapter = adapter_file(tmp_path)
    manifest, _ = run(source, target, quantization=quantization, adapter=adapter)
    session = load_decoder(target, manifest.config, manifest.quantization, provider="cpu", n_threads=1)
    found = DecodeState(session, 16).extend(IDS, logits="all")
    expected = reference_logits(with_adapter(ArrayWeights(CONFIG, tensors), adapter), IDS)
    assert np.linalg.norm(found - expected) < tolerance * np.linalg.norm(expected)


def test_progress_only_grows_and_ends_at_one(source, target):
    _, steps = run(source, target)
    parts = [part for _, part in steps]
    assert parts == sorted(parts)
    assert (parts[0], parts[-1]) == (0.0, 1.0)
    assert all(label for label, _ in steps)


def test_converting_twice_gives_the_same_model(source, target, tmp_path):
    first, _ = run(source, target)
    (tmp_path / "again").mkdir()
    second, _ = run(source, tmp_path / "again", name="other")
    assert first.model_hash == second.model_hash


def test_a_folder_and_a_gguf_of_the_same_weights_give_the_same_model(source, target, tmp_path):
    first, _ = run(source, target)
    (tmp_path / "again").mkdir()
    second, _ = run(write_folder(tmp_path / "hub", random_tensors()), tmp_path / "again")
    assert first.files == second.files
    assert dataclasses.replace(first.config, rope_theta=0) == dataclasses.replace(second.config, rope_theta=0)


@pytest.mark.parametrize(
    "quantization",
    [
        Quantization("fp32", 8, rotated=False),
        Quantization("w8a8", 7, rotated=True),
        Quantization("w8a8", 8, rotated=False),
    ],
)
def test_quantization_is_recorded_and_changes_the_model(source, target, tmp_path, quantization):
    manifest, _ = run(source, target, quantization=quantization)
    (tmp_path / "default").mkdir()
    default, _ = run(source, tmp_path / "default")
    assert manifest.quantization == quantization
    assert manifest.model_hash != default.model_hash


def test_an_adapter_changes_the_model_and_is_recorded(source, target, tmp_path):
    adapter = adapter_file(tmp_path)
    merged, _ = run(source, target, adapter=adapter)
    (tmp_path / "plain").mkdir()
    plain, _ = run(source, tmp_path / "plain")
    assert merged.adapter_sha256 == sha256_of(adapter)
    assert merged.model_hash != plain.model_hash


def test_an_adapter_for_other_weights_is_refused_before_any_work(source, target, tmp_path):
    adapter = adapter_file(tmp_path, '{"base_sha256": "ab"}')
    with pytest.raises(ConversionError, match="trained for other weights"):
        run(source, target, adapter=adapter)
    assert not list(target.iterdir())


def test_a_failed_conversion_leaves_no_manifest(target, tmp_path):
    source = write_folder(tmp_path / "m", random_tensors())
    (source / "tokenizer.json").write_text("{}")
    with pytest.raises(ConversionError):
        run(source, target)
    assert not (target / MANIFEST_FILE).exists()
