"""Puts a trained adapter into the package, with the manifest that it is shipped with.

    python bench/adapter/ship.py RUN/adapter.safetensors --name NAME --commit COMMIT --figures models.json

To what `crosslight adapt` says of an adapter (the model's hash, the recipe, how held-out cases came out) the
manifest adds the list of packages that it was trained on, the commit that trained it, the adapter that
training began with, and how completions came out on the development set, from a file that
`bench/quality/models.py` wrote. Refused is what cannot be vouched for: other packages than the list's, an
adapter to begin with that was not trained on the same cases, figures of another adapter.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from packages import LIST, read_list

import model
from model.disk import sha256_of

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
    if {*training.pop("repositories")} != {one.repository for one in packages}:
        raise SystemExit(f"{options.adapter} was trained on other packages than those of {LIST}")
    training["packages"] = [f"{one.registry}:{one.name}@{one.version}" for one in packages]
    training["packages_sha256"] = sha256_of(LIST)
    training["commit"] = options.commit
    if training["start_sha256"] is not None:
        training["begun_with"] = _begun_with(options.begun_with, training)
    manifest = notes | {
        "name": options.name,
        "title": _TITLE,
        "figures": _figures(options.figures, options.adapter),
    }
    shutil.copyfile(options.adapter, _SHIPPED)
    _SHIPPED.with_suffix(".json").write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")


def _read(adapter: Path) -> dict[str, Any]:
    return dict(json.loads(adapter.with_suffix(".json").read_text("utf-8")))


def _begun_with(start: Path | None, training: dict[str, Any]) -> dict[str, Any]:
    """Return what the manifest says of the adapter that training began with."""
    if start is None or sha256_of(start) != training["start_sha256"]:
        raise SystemExit(f"--begun-with: the adapter with the sha256 {training['start_sha256']} is wanted")
    first = _read(start)
    if first["training"]["cases_key"] != training["cases_key"]:
        raise SystemExit(f"{start} was trained on other cases")
    return {key: first[key] for key in ("recipe", "training", "scaled") if key in first}


def _figures(file: Path, adapter: Path) -> dict[str, Any]:
    """Return kind -> arm -> an adapter's figures, without their intervals."""
    result = json.loads(file.read_text("utf-8"))
    digest = sha256_of(adapter)
    name = next((one for one, about in result["models"].items() if about["adapter"] == digest), None)
    if name is None:
        raise SystemExit(f"{file} has no figures of {adapter}")
    arms = {
        kind: {arm: models[name] for arm, models in table.items() if arm != "gain_kept"}
        for kind, table in result["kinds"].items()
    }
    kinds = {
        kind: {
            arm: {"n": row["n"], "leaked": row["leaked"], **{mean: row[mean]["mean"] for mean in _MEANS}}
            for arm, row in table.items()
        }
        for kind, table in arms.items()
    }
    return {"set": result["set"], "commit": result["commit"], "kinds": kinds}


if __name__ == "__main__":
    main()
