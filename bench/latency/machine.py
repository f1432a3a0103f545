"""The machine's own limits, which no decoder can pass: memory bandwidth, and the rate of integer products.

Run as a program, so that its gigabytes are not counted as the bench's, it prints one JSON object:
`bandwidth_bytes_per_s`, by two threads that read one array, and `int8_operations_per_s`, by onnxruntime's
MatMulInteger (u8 x s8) over a layer of the default model, a multiplication and an addition counting as two.
Each is the best of several tries, since whatever else runs only takes away.

    python bench/latency/machine.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["Limits", "measure_apart"]

_ARRAY_BYTES = 4 << 30
_N_TRIES = 6
_ROWS, _INNER, _OUTER = 256, 896, 9728
"""A pass of a prefill through the two gate projections of a layer."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What `machine.py` prints."""

    bandwidth_bytes_per_s: float
    int8_operations_per_s: float


def measure_apart(n_threads: int) -> Limits:
    """Measure in a process of its own.

    Raises:
        subprocess.CalledProcessError: It failed, for instance for want of memory.
    """
    command = [sys.executable, str(Path(__file__).resolve()), str(n_threads)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return Limits(**json.loads(done.stdout))


def bandwidth_bytes_per_s(n_threads: int) -> float:
    """Return how fast threads read an array that is larger than the caches."""
    array = np.ones(_ARRAY_BYTES // 8, np.uint64)
    parts = np.array_split(array, n_threads)

    def read(part: npt.NDArray[np.uint64]) -> None:
        np.bitwise_or.reduce(part)  # the cheapest of numpy's operations per byte read

    def read_all() -> None:
        threads = [threading.Thread(target=read, args=(part,)) for part in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return _ARRAY_BYTES / _best_s(read_all)


def int8_operations_per_s(n_threads: int) -> float:
    """Return the rate of one integer product of activations and weights."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # see model/session.py
    import onnx  # noqa: PLC0415 - the process that only asks for the limits needs neither
    import onnxruntime  # noqa: PLC0415

    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (_INNER, _OUTER), np.int8)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMulInteger", ["a", "b", "zero"], ["y"])],
        "product",
        [onnx.helper.make_tensor_value_info("a", onnx.TensorProto.UINT8, [_ROWS, _INNER])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.INT32, [_ROWS, _OUTER])],
        [
            onnx.numpy_helper.from_array(weights, "b"),
            onnx.numpy_helper.from_array(np.array(128, np.uint8), "zero"),
        ],
    )
    opset = onnx.helper.make_opsetid("", 21)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    activations = rng.integers(0, 256, (_ROWS, _INNER), np.uint8)
    n_products = 20

    def multiply() -> None:
        for _ in range(n_products):
            session.run(None, {"a": activations})

    return 2 * _ROWS * _INNER * _OUTER * n_products / _best_s(multiply)


def _best_s(task: Callable[[], None]) -> float:
    task()  # pages are touched, threads started
    best = float("inf")
    for _ in range(_N_TRIES):
        started = time.perf_counter()
        task()
        best = min(best, time.perf_counter() - started)
    return best


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    product = int8_operations_per_s(count)  # first: what it needs is given back before the array is made
    print(
        json.dumps({"bandwidth_bytes_per_s": bandwidth_bytes_per_s(count), "int8_operations_per_s": product})
    )
