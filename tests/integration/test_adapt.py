"""`crosslight adapt` from end to end, on a tiny model and a small repository."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_model import random_tensors, write_gguf

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from lsp_server.adapting.run import AdaptOrder, AdaptRun  # noqa: E402 - what imports torch comes after the check
from lsp_server.config import Settings  # noqa: E402
from lsp_server.errors import UsageError  # noqa: E402
from lsp_server.paths import Folders  # noqa: E402
from model.errors import ConversionError, TrainingError  # noqa: E402
from model.safetensors_file import SafetensorsFile, write_safetensors  # noqa: E402
from model.store import InstalledModel, ModelStore  # noqa: E402
from model.types import Quantization  # noqa: E402

EXACT = Quantization("fp32", 8, rotated=False)
SETTINGS = replace(Settings(), retrieval=replace(Settings().retrieval, definitions=4, definition_tokens=64))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    root.mkdir()
    (root / "billing.py").write_text(
        "".join(
            f"class Bill{n}:\n    def total_{n}(self, rate):\n        return rate * {n}\n\n\n"
            for n in range(9)
        )
    )
    for name in "abcdefghijkl":
        calls = "".join(
            f"    sum_{n} = Bill{n}.total_{n}(self, rate_{name})\n    log(sum_{n})\n" for n in range(9)
        )
        imports = ", ".join(f"Bill{n}" for n in range(9))
        (root / f"{name}.py").write_text(f"from billing import {imports}\n\n\ndef run_{name}(self):\n{calls}")
    return root


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path / "config", tmp_path / "models", tmp_path / "index", tmp_path / "run")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "tiny.gguf", random_tensors())


@pytest.fixture
def installed(folders: Folders, weights: Path) -> InstalledModel:
    store = ModelStore(folders.models)
    return store.pull(str(weights), quantization=EXACT, adapter="none", on_progress=lambda _: None)


def adapt(
    repository: Path,
    folders: Folders,
    installed: InstalledModel,
    weights: Path,
    run: Path,
    start: Path | None = None,
) -> AdaptRun:
    run.mkdir(exist_ok=True)
    settings = replace(SETTINGS, model=replace(SETTINGS.model, name=installed.name))
    order = AdaptOrder([repository], run, weights, sites=6, seed=3, n_threads=1, start=start)
    return AdaptRun(
        order, folders=folders, settings=settings, installed=installed, on_progress=lambda *_: None
    )


def test_an_adapter_is_trained_exported_and_merged_into_another_model(
    tmp_path: Path, repository: Path, folders: Folders, installed: InstalledModel, weights: Path
) -> None:
    one = adapt(repository, folders, installed, weights, tmp_path / "adapting")
    assert not one.train(4, measure_every=2, stop=lambda: one.n_steps_done == 2)
    again = adapt(repository, folders, installed, weights, tmp_path / "adapting")
    assert again.n_steps_done == 2
    assert again.train(4, measure_every=2, stop=lambda: False)
    assert "nats a token" in again.summary()
    file = tmp_path / "mine.safetensors"
    again.export(file)
    manifest = json.loads(file.with_suffix(".json").read_text())
    assert manifest["base_sha256"] == installed.manifest.source_sha256
    assert manifest["training"]["steps"] == 4
    assert manifest["training"]["repositories"] == ["shop"]
    adapted = ModelStore(folders.models).pull(
        str(weights), adapter=file, quantization=EXACT, on_progress=lambda _: None, force=True
    )
    assert adapted.manifest.adapter_sha256 != installed.manifest.adapter_sha256
    assert adapted.manifest.model_hash != installed.manifest.model_hash


def test_training_begins_with_another_adapter(
    tmp_path: Path, repository: Path, folders: Folders, installed: InstalledModel, weights: Path
) -> None:
    first = adapt(repository, folders, installed, weights, tmp_path / "first")
    assert first.train(2, measure_every=2, stop=lambda: False)
    file = tmp_path / "mine.safetensors"
    first.export(file)
    second = adapt(repository, folders, installed, weights, tmp_path / "second", start=file)
    assert not second.train(9, measure_every=9, stop=lambda: True)
    second.export(tmp_path / "same.safetensors")
    written, read = SafetensorsFile(tmp_path / "same.safetensors"), SafetensorsFile(file)
    assert written.names == read.names
    for name in read.names:
        np.testing.assert_array_equal(written.read(name), read.read(name))
    with pytest.raises(TrainingError, match="differs in: start"):
        adapt(repository, folders, installed, weights, tmp_path / "second")
    other = tmp_path / "other.safetensors"
    tensors = {name: read.read(name) for name in read.names}
    write_safetensors(other, tensors, {**read.metadata, "base_sha256": "00"})
    with pytest.raises(ConversionError, match="was trained for other weights"):
        adapt(repository, folders, installed, weights, tmp_path / "third", start=other)


def test_weights_of_another_model_are_refused(
    tmp_path: Path, repository: Path, folders: Folders, installed: InstalledModel
) -> None:
    other = write_gguf(tmp_path / "other.gguf", random_tensors(seed=2))
    with pytest.raises(UsageError, match="is not what"):
        adapt(repository, folders, installed, other, tmp_path / "adapting")


def test_weights_that_were_the_users_own_are_found_where_they_were(
    folders: Folders, installed: InstalledModel, weights: Path
) -> None:
    store = ModelStore(folders.models)
    assert store.kept_weights(installed) == weights
    weights.unlink()
    assert store.kept_weights(installed) is None
