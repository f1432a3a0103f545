"""Writes an adapter as the importer reads it: a safetensors file, and its manifest beside it.

The manifest says what the adapter was made for and of: the model's hash, the recipe, the repositories, the
version of the program, and how well it did on held-out cases before and after.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.adapter import adapter_tensor_names
from model.safetensors_file import write_safetensors
from model.training.network import Adapter
from model.training.recipe import Recipe

__all__ = ["export_adapter"]


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
    write_safetensors(partial, tensors, {"r": str(recipe.rank), "alpha": f"{recipe.alpha:g}"})
    os.replace(partial, path)  # noqa: PTH105 - says what is atomic about it
    manifest = {"rank": recipe.rank, "alpha": recipe.alpha, **notes}
    partial = path.with_suffix(".json.part")
    partial.write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
    os.replace(partial, path.with_suffix(".json"))  # noqa: PTH105
