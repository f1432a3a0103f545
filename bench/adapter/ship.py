"""Puts a trained adapter into the package, with the manifest that it is shipped with.

    python bench/adapter/ship.py RUN/adapter.safetensors --name NAME --commit COMMIT --figures models.json

To what `crosslight adapt` says of an adapter (the model's hash, the recipe, how held-out cases came out) the
manifest adds the list of packages that it was trained on, the commit that trained it, the adapter that
training began with, and how completions came out on the development set: the last model's figures in a file
that `bench/quality/models.py` wrote.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from packages import LIST, read_list

import model

_TITLE = "Reads memories, and ends where a completion ends"
_SHIPPED = Path(model.__file__).parent / "data" / "adapter.safetensors"
_MEANS = ("exact_match", "edit_similarity", "nll_per_byte", "ends_itself")


def main() -> None:
    """Copy the adapter, and write its manifest."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("adapter", type=Path, help="ends in .safetensors; its manifest lies beside it")
    parser.add_argument("--name", required=True)
    parser.add_argument("--commit", required=True, help="of the code that trained it")
    parser.add_argument("--begun-with", type=Path, help="the adapter that training began with")
    parser.add_argument("--figures", type=Path, required=True)
    options = parser.parse_args()
    notes = _read(options.adapter)
    training = notes["training"]
    packages = read_list()
    training["packages"] = [f"{one.registry}:{one.name}@{one.version}" for one in packages]
    if unlisted := {*training.pop("repositories")} - {one.repository for one in packages}:
        raise SystemExit(f"trained on what {LIST} does not list: {', '.join(sorted(unlisted))}")
    training["packages_sha256"] = hashlib.sha256(LIST.read_bytes()).hexdigest()
    training["commit"] = options.commit
    if options.begun_with:
        first = _read(options.begun_with)
        training["begun_with"] = {key: first[key] for key in ("recipe", "training", "scaled")}
    manifest = notes | {"name": options.name, "title": _TITLE, "figures": _figures(options.figures)}
    shutil.copyfile(options.adapter, _SHIPPED)
    _SHIPPED.with_suffix(".json").write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")


def _read(adapter: Path) -> dict[str, Any]:
    return dict(json.loads(adapter.with_suffix(".json").read_text("utf-8")))


def _figures(file: Path) -> dict[str, Any]:
    """Return kind -> arm -> figures of the last model; a figure without its interval where it has one."""
    result = json.loads(file.read_text("utf-8"))
    name = result["models"][-1]
    arms = {
        kind: {arm: models[name] for arm, models in table.items() if arm != "gain_kept"}
        for kind, table in result["kinds"].items()
    }
    kinds = {
        kind: {
            arm: {"n": row["n"], "leaked": row["leaked"], **{name: row[name]["mean"] for name in _MEANS}}
            for arm, row in table.items()
        }
        for kind, table in arms.items()
    }
    return {"set": result["set"], "commit": result["commit"], "kinds": kinds}


if __name__ == "__main__":
    main()
