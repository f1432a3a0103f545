"""Makes a model folder out of weights: opens them, merges an adapter, rotates, writes graph and tokenizer.

The only file that knows all of the steps. It does not download, and does not care where the folder lies: who
calls it gives an empty one and puts it in its place when all is done.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.adapter import check_adapter, with_adapter
from model.disk import sha256_of
from model.embedding import VECTORS_FILE, make_token_vectors
from model.graph import build_decoder
from model.manifest import FORMAT_VERSION, write_manifest
from model.quantize import rotated
from model.shortlist import Shortlist, choose_shortlist
from model.tokenizer import Tokenizer, save_tokenizer
from model.types import ControlTokens, Manifest, Quantization
from model.vocabulary import Vocabulary, control_tokens, read_vocabulary
from model.weights import Weights, open_weights

# Parts of the whole at which each step ends, by the time that they take.
_OPENED, _VECTORS, _DECODER = 0.05, 0.2, 0.95


def convert(  # noqa: PLR0913  (all but two are facts that the manifest records)
    source: Path,
    target: Path,
    *,
    name: str,
    source_label: str,
    source_sha256: str,
    licence: str,
    quantization: Quantization,
    adapter: Path | None,
    on_progress: Callable[[str, float], None],
) -> Manifest:
    """Write a whole model into the folder `target` and return its manifest, which is written last.

    Holds one tensor at a time. That all of it is on the disk is for the caller to see to.

    Args:
        source: A .gguf file or a model folder; see `weights.open_weights`.
        target: An empty folder; after an error it holds an unfinished model without a manifest.
        name: Under which the model is to be known.
        source_label: Where the weights came from, for people.
        source_sha256: Of the weights; compared with what the adapter was made for.
        licence: Of the weights.
        quantization: How linear layers are stored.
        adapter: A low-rank adapter to merge (`model.adapter`), or None.
        on_progress: Called with the step, for people, and the part of the whole that is done, 0 to 1.

    Raises:
        ConversionError: The weights, the tokenizer or the adapter are not what they should be.
        OSError: A file could not be written.
    """
    on_progress("reading the header and the vocabulary", 0.0)
    original = open_weights(source)
    vocabulary = read_vocabulary(source)
    control = control_tokens(vocabulary, original.config.vocab_size)
    weights = _prepared(original, quantization, adapter, source_sha256)
    save_tokenizer(vocabulary, target)
    on_progress("distilling token vectors", _OPENED)
    _save_array(target / VECTORS_FILE, make_token_vectors(original))
    step = "writing the decoder"
    on_progress(step, _VECTORS)
    build_decoder(
        weights,
        quantization,
        target,
        lambda done: on_progress(step, _VECTORS + done * (_DECODER - _VECTORS)),
        _shortlist(vocabulary, control, quantization),
    )
    on_progress("hashing the files", _DECODER)
    manifest = Manifest(
        name=name,
        format_version=FORMAT_VERSION,
        config=original.config,
        control=control,
        quantization=quantization,
        source=source_label,
        source_sha256=source_sha256,
        adapter_sha256=sha256_of(adapter) if adapter else None,
        licence=licence,
        files={path.name: sha256_of(path) for path in sorted(target.iterdir())},
    )
    write_manifest(target, manifest)
    on_progress("done", 1.0)
    return manifest


def _shortlist(
    vocabulary: Vocabulary, control: ControlTokens, quantization: Quantization
) -> Shortlist | None:
    """Return the tokens that the graph's own projection is to know; None for all."""
    if quantization.scheme != "w8a8" or not quantization.rotated:
        return None
    tokenizer = Tokenizer.from_vocabulary(vocabulary, control)
    return choose_shortlist(tokenizer.token_bytes, control.all_ids, tokenizer.vocab_size)


def _prepared(
    weights: Weights, quantization: Quantization, adapter: Path | None, source_sha256: str
) -> Weights:
    """Return the weights as the graph is to hold them: the adapter goes in before the rotation."""
    if adapter is not None:
        check_adapter(adapter, source_sha256)
        weights = with_adapter(weights, adapter)
    return rotated(weights) if quantization.rotated else weights


def _save_array(path: Path, array: npt.NDArray[np.int8]) -> None:
    """Write a .npy file by plain writes: numpy's own lose the error number that tells of a full disk."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    path.write_bytes(buffer.getbuffer())
