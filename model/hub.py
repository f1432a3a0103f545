"""What a model hub holds under an id: the files to fetch, with their sizes and checksums.

The only file that imports huggingface_hub, and only for what must not be guessed: where the user's token
lies, the headers, the rules for ids. The one request goes over our own client, so that proxies, trust store
and timeouts are the same everywhere. `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE` are respected.

Tested against a local server that answers as the hub's documented HTTP API does, on
`/api/models/{id}?blobs=true` and `/{id}/resolve/{revision}/{file}`; it has not been run against the public
hub.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
from huggingface_hub.utils import HFValidationError, build_hf_headers, validate_repo_id

from model.download import RemoteFile
from model.errors import CatalogError, ConversionError, DownloadError
from model.network import within

DEFAULT_ENDPOINT = "https://huggingface.co"

# A blocked hub must not cost the user half a minute before the next source is tried.
ANSWER_WITHIN_S = 8.0

_HUB_ID = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?::(?P<file>[\w./ -]+))?", re.ASCII)
COMPANY_OF_SAFETENSORS = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
)
_ARCHITECTURES = frozenset({"qwen2"})


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a hub model."""

    name: str
    remote: RemoteFile


@dataclass(frozen=True, slots=True)
class HubModel:
    """The files of a model at one revision, those that an import needs and no others."""

    hub_id: str
    revision: str
    licence: str
    files: tuple[HubFile, ...]


def parse_hub_id(text: str) -> tuple[str, str | None] | None:
    """Return (`Owner/Name`, file or None) for `Owner/Name[:file.gguf]`, None for what is no such id."""
    match = _HUB_ID.fullmatch(text)
    if match is None:
        return None
    try:
        validate_repo_id(match["repo"])
    except HFValidationError:
        return None
    return match["repo"], match["file"]


def offline() -> bool:
    """Return whether the user has told hub clients to stay off the network."""
    stated = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return stated.upper() in {"1", "ON", "YES", "TRUE"}


def endpoint() -> str:
    """Return the hub's address, without a slash at its end."""
    return (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")


def file_url(repo: str, revision: str, name: str) -> str:
    """Return the address of a file; it may redirect to a store of large files."""
    return f"{endpoint()}/{repo}/resolve/{quote(revision, safe='')}/{quote(name)}"


def resolve(client: httpx.Client, hub_id: str, *, answer_within_s: float = ANSWER_WITHIN_S) -> HubModel:
    """Ask the hub what `hub_id` holds and choose the files that an import needs.

    With a file named, that GGUF. Else the safetensors at the top with configuration and tokenizer; else the
    only GGUF. Files are pinned to the revision that was found, so that a push meanwhile mixes nothing.

    Raises:
        DownloadError: the hub is switched off, cannot be reached, or does not have the model for this user.
        CatalogError: the id does not say which of several files is meant.
        ConversionError: the hub says that the model is of another architecture.
    """
    repo, name = parse_hub_id(hub_id) or (hub_id, None)
    if offline():
        raise DownloadError("the hub is switched off by HF_HUB_OFFLINE")
    headers = build_hf_headers(library_name="crosslight")
    answer = within(answer_within_s, endpoint(), lambda: _ask(client, repo, headers))
    try:
        return _read(answer, hub_id, repo, name, headers)
    except (TypeError, AttributeError) as error:
        raise DownloadError(f"{endpoint()}: no usable answer about {repo}: {error}") from error


def _read(
    answer: dict[str, Any], hub_id: str, repo: str, name: str | None, headers: dict[str, str]
) -> HubModel:
    """Choose the files; raises TypeError or AttributeError for an answer of another shape."""
    _check_architecture(hub_id, answer)
    listed = {
        sibling["rfilename"]: sibling
        for sibling in answer.get("siblings") or ()
        if isinstance(sibling, dict) and isinstance(sibling.get("rfilename"), str)
    }
    revision = str(answer.get("sha") or "main")
    chosen = (name,) if name is not None else _choose(hub_id, tuple(listed))
    if missing := [file for file in chosen if file not in listed]:
        raise CatalogError(f"{repo} has no file {missing[0]!r}; it has {', '.join(sorted(listed)) or 'none'}")
    return HubModel(
        hub_id=hub_id,
        revision=revision,
        licence=_licence(answer),
        files=tuple(
            HubFile(file, _remote(file_url(repo, revision, file), listed[file], headers)) for file in chosen
        ),
    )


def _ask(client: httpx.Client, repo: str, headers: dict[str, str]) -> dict[str, Any]:
    try:
        response = client.get(f"{endpoint()}/api/models/{repo}", params={"blobs": "true"}, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DownloadError(f"{endpoint()}: {str(error) or type(error).__name__}") from error
    if response.status_code in {401, 403, 404}:
        raise DownloadError(
            f"{endpoint()} has no model {repo} for you ({response.status_code}): check the name; "
            "for a private or gated one set HF_TOKEN"
        )
    try:
        response.raise_for_status()
        answer = response.json()
    except (httpx.HTTPStatusError, ValueError) as error:
        raise DownloadError(f"{endpoint()}: no usable answer about {repo}: {error}") from error
    if not isinstance(answer, dict):
        raise DownloadError(f"{endpoint()}: no usable answer about {repo}")
    return answer


def _check_architecture(hub_id: str, answer: dict[str, Any]) -> None:
    """Refuse before gigabytes are fetched what the importer would refuse after."""
    stated = (answer.get("gguf") or {}).get("architecture") or (answer.get("config") or {}).get("model_type")
    if stated is not None and stated not in _ARCHITECTURES:
        raise ConversionError(
            f"{hub_id} is of architecture {stated!r}; the importer knows {', '.join(sorted(_ARCHITECTURES))}"
        )


def _choose(hub_id: str, names: Sequence[str]) -> tuple[str, ...]:
    top = [name for name in names if "/" not in name]
    safetensors = [name for name in top if name.endswith(".safetensors")]
    # Some repositories carry the same weights once in shards and once in one file of another layout.
    safetensors = [name for name in safetensors if name.startswith("model")] or safetensors
    if safetensors and "config.json" in top:
        return (*(name for name in COMPANY_OF_SAFETENSORS if name in top), *sorted(safetensors))
    ggufs = [name for name in names if name.endswith(".gguf")]
    if len(ggufs) == 1:
        return (ggufs[0],)
    if ggufs:
        raise CatalogError(
            f"{hub_id} has several GGUF files; name one: " + ", ".join(f"{hub_id}:{g}" for g in ggufs)
        )
    raise CatalogError(f"{hub_id} has neither safetensors with a config.json nor a GGUF file")


def _remote(url: str, sibling: dict[str, Any], headers: dict[str, str]) -> RemoteFile:
    large = sibling.get("lfs") or {}
    size = large.get("size", sibling.get("size"))
    if not isinstance(size, int | None):
        raise TypeError(f"the size {size!r}")
    return RemoteFile(url, size, large.get("sha256"), headers)


def _licence(answer: dict[str, Any]) -> str:
    stated = (answer.get("cardData") or {}).get("license")
    return stated if isinstance(stated, str) else "unknown"
