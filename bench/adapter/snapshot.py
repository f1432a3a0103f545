"""Writes the adapter of a run's checkpoint, while the run goes on: for learning curves.

    python bench/adapter/snapshot.py RUN --output step.safetensors
    XDG_DATA_HOME=/tmp/step crosslight model pull WEIGHTS.gguf --adapter step.safetensors
    python bench/quality/run.py --models /tmp/step/crosslight/models --arm off --arm memories

The checkpoint was taken at a high learning rate; an adapter that was trained to its end does better.
`--scale` writes the adapter as if all that it adds to the weights were so many times as much.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from model.training.export import export_adapter
from model.training.loop import CHECKPOINT, measurements, read_checkpoint
from model.training.recipe import Recipe


def main() -> None:
    """Write it, and say how far the run is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("--output", type=Path, required=True, help="ends in .safetensors")
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args()
    state = read_checkpoint(options.run / CHECKPOINT)
    written = state["recipe"] | {"betas": tuple(state["recipe"]["betas"])}
    figures = [row for row in measurements(options.run) if row["step"] <= state["step"]]
    training = {"steps": state["step"], "cases": state["n_cases"], "cases_key": state["about"]["cases"]}
    training["start_sha256"] = state["about"].get("start")
    notes: dict[str, Any] = {
        "name": options.output.stem,
        "base_sha256": state["about"]["base_sha256"],
        "recipe": written,
        "training": training,
        "scaled": options.scale,
    }
    if options.scale == 1.0 and figures:  # they are of the factors as they are
        notes["held_out"] = {"before": figures[0], "after": figures[-1]}
    adapter = {
        name: factor * options.scale if name.endswith(".B") else factor
        for name, factor in state["adapter"].items()
    }
    export_adapter(options.output, adapter, Recipe(**written), notes)
    print(f"{options.output}: step {state['step']}, {state['n_cases']} cases")


if __name__ == "__main__":
    main()
