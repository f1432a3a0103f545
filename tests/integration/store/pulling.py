"""What the tests of the model store share: a small catalog, and a stand-in for the importer."""

import hashlib
import random
import threading
from pathlib import Path

import numpy as np
from fake_servers import make_entry
from safetensors.numpy import save_file

from model.manifest import FORMAT_VERSION, write_manifest
from model.types import ControlTokens, DecoderConfig, Manifest, Quantization

CONTENT = random.Random(5).randbytes(200_000)
ENTRY = make_entry(CONTENT)
HUB_PATH = f"/{ENTRY.hub_repo}/resolve/c0ffee/{ENTRY.hub_file}"
W8A8 = Quantization("w8a8", 8, rotated=True)
CONFIG = DecoderConfig(1, 1, 1, 1, 1, 1, 1, 1.0, 1.0, 1)
CONTROL = ControlTokens(0, 1, 2, 3, 4, 5, (0, 1, 2, 3, 4, 5))


class Converter:
    """Copies the weights in the place of a decoder, and counts; `fail` is raised half-way."""

    def __init__(self):
        self.n_runs = 0
        self.fail = None
        self.entered = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def __call__(self, source, target, *, adapter, on_progress, **facts):
        self.n_runs += 1
        self.entered.set()
        assert list(target.iterdir()) == []
        decoder = b"".join(
            path.read_bytes() for path in ([source] if source.is_file() else sorted(source.iterdir()))
        )
        (target / "decoder.data").write_bytes(decoder)
        on_progress("half", 0.5)
        self.may_go_on.wait()
        if self.fail:
            raise self.fail
        manifest = Manifest(
            name=facts["name"],
            format_version=FORMAT_VERSION,
            config=CONFIG,
            control=CONTROL,
            quantization=facts["quantization"],
            source=facts["source_label"],
            source_sha256=facts["source_sha256"],
            adapter_sha256=hashlib.sha256(adapter.read_bytes()).hexdigest() if adapter else None,
            licence=facts["licence"],
            files={"decoder.data": hashlib.sha256(decoder).hexdigest()},
        )
        write_manifest(target, manifest)
        return manifest


def pull(store, spec="tiny", on_progress=lambda _: None, quantization=W8A8, **options):
    return store.pull(spec, on_progress=on_progress, quantization=quantization, **options)


def write_adapter(path: Path, **metadata: str) -> str:
    """Write an adapter of one layer's one product; return its sha256."""
    factors = {f"model.layers.0.self_attn.q_proj.lora_{side}": np.ones((1, 1), np.float32) for side in "AB"}
    save_file(factors, path, {"r": "1", "alpha": "1"} | metadata)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def serve_hub(hub, content=CONTENT):
    hub.put_hub_model(ENTRY.hub_repo, {ENTRY.hub_file: content})


def files_in(folder: Path) -> list[str]:
    """Everything in the models folder but locks."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and ".locks" not in path.parts
    )


INSTALLED = ["tiny/decoder.data", "tiny/manifest.json"]
