"""Adapters as files: written as the importer reads them, a manifest beside them, and read to be trained on.

The manifest says what the adapter was made for and of: the model's hash, the recipe, the repositories, the
version of the program, and how well it did on held-out cases before and after.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from model.adapter import AdapterFile, adapter_tensor_names
from model.errors import TrainingError
from model.safetensors_file import write_safetensors
from model.training.network import Adapter, new_adapter
from model.training.recipe import Recipe
from model.types import DecoderConfig

__all__ = ["export_adapter", "load_adapter"]


def load_adapter(path: Path, config: DecoderConfig, recipe: Recipe) -> Adapter:
    """Return the adapter at `path`, to be trained on by a recipe; layers that it leaves alone are new ones.

    Raises:
        ConversionError: It is damaged, or made for a model of other sizes.
        TrainingError: It is of another rank or scale than the recipe's.
    """
    file = AdapterFile(path, config)
    if (file.facts.rank, file.facts.scale) != (recipe.rank, recipe.scale):
        raise TrainingError(
            f"{path} has rank {file.facts.rank} and alpha {file.facts.alpha:g};"
            f" what is trained has rank {recipe.rank} and alpha {recipe.alpha:g}"
        )
    adapter = new_adapter(config, recipe.rank, recipe.seed)
    with torch.no_grad():
        for target in file.targets:
            for part, factor in zip("AB", file.factors(target), strict=True):
                adapter[f"{target}.{part}"].copy_(torch.from_numpy(factor))
    return adapter


def export_adapter(path: Path, adapter: Adapter, recipe: Recipe, notes: Mapping[str, Any]) -> None:
    """Write `path` and the manifest, whose name ends in `.json` instead, each whole or not at all.

    Args:
        path: Ends in `.safetensors`.
        adapter: The factors.
        recipe: They were trained by.
        notes: JSON; must hold `base_sha256`.
    """
    tensors = {
        name: adapter[f"{target}.{factor}"].detach().float().numpy()
        for target, names in adapter_tensor_names(key.rpartition(".")[0] for key in adapter).items()
        for factor, name in zip("AB", names, strict=True)
    }
    partial = path.with_name(path.name + ".part")
    facts = {"r": str(recipe.rank), "alpha": f"{recipe.alpha:g}", "base_sha256": notes["base_sha256"]}
    write_safetensors(partial, tensors, facts)
    os.replace(partial, path)  # noqa: PTH105 - says what is atomic about it
    manifest = {"rank": recipe.rank, "alpha": recipe.alpha, **notes}
    partial = path.with_suffix(".json.part")
    partial.write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
    os.replace(partial, path.with_suffix(".json"))  # noqa: PTH105
