"""Bytes from a URL into a file: resumed where they stopped, and believed only by their sha256.

A download grows in a `.part` file that outlives the process, so an interrupted one goes on with a range
request. What arrives is checked at the end, over the whole file. This file knows neither models nor hubs nor
package indexes nor how the machine reaches the network: it is handed a client.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from model.disk import OnBytes, human_bytes, sha256_of
from model.errors import ChecksumError, DownloadError

_ATTEMPTS = 4
_FIRST_PAUSE_S = 0.5
_AGAIN_STATUSES = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that can be fetched, and what is known of it beforehand."""

    url: str
    size_bytes: int | None = None
    sha256: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with the request (an authorization); dropped when a redirect leaves the host."""

    @property
    def shown(self) -> str:
        """The URL for people, without user, password and query (signed URLs are secrets)."""
        return shown_url(self.url)


def shown_url(url: str) -> str:
    """Return `url` without user, password, query and fragment."""
    return re.sub(r"//[^/@]*@", "//", url).partition("?")[0].partition("#")[0]


class _AgainError(Exception):
    """The transfer stopped short in a way that a further request may cure."""


def fetch(
    client: httpx.Client,
    file: RemoteFile,
    part: Path,
    *,
    on_bytes: OnBytes,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Bring `part` to the whole of `file`, going on from what it holds.

    Broken connections and busy servers are tried again, as long as each few attempts bring something. On any
    exception, `part` keeps what has arrived.

    Raises:
        DownloadError: the server refused, or broke off too often.
        ChecksumError: more bytes came than the file has; `part` is gone.
    """
    n_failures = 0
    while True:
        before = part_bytes(part)
        if file.size_bytes is not None and before == file.size_bytes:
            return
        try:
            _receive(client, file, part, on_bytes)
        except (httpx.TransportError, _AgainError) as error:
            n_failures = 1 if part_bytes(part) > before else n_failures + 1
            if n_failures >= _ATTEMPTS:
                reason = str(error) or type(error).__name__
                raise DownloadError(f"{file.shown}: {reason}") from error
            pause(_FIRST_PAUSE_S * 2 ** (n_failures - 1))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise DownloadError(f"{file.shown}: {error}") from error
        else:
            return


def part_bytes(part: Path) -> int:
    """Return how much of a download is there."""
    return part.stat().st_size if part.exists() else 0


def _receive(client: httpx.Client, file: RemoteFile, part: Path, on_bytes: OnBytes) -> None:
    """Make one request and append its body to `part`."""
    offset = part_bytes(part)
    headers = {**file.headers, "Accept-Encoding": "identity"}  # ranges count the file's own bytes
    if offset:
        headers["Range"] = f"bytes={offset}-"
    with client.stream("GET", file.url, headers=headers) as response:
        start = _start_of_body(response, offset)
        if start is None:
            part.unlink(missing_ok=True)
            raise _AgainError("the server cannot go on from where the download stopped")
        with part.open("ab") as target:
            target.truncate(start)
            on_bytes(start)
            for block in response.iter_raw():
                target.write(block)
                start += len(block)
                on_bytes(start)
                if file.size_bytes is not None and start > file.size_bytes:
                    break
    if file.size_bytes is not None and start < file.size_bytes:
        raise _AgainError(f"the connection ended after {start} of {file.size_bytes} bytes")
    if file.size_bytes is not None and start > file.size_bytes:
        part.unlink()
        raise ChecksumError(f"{file.shown} sends more than the {human_bytes(file.size_bytes)} it should have")


def _start_of_body(response: httpx.Response, offset: int) -> int | None:
    """Return where in the file the body begins; None when `offset` is of no use to the server."""
    status = response.status_code
    if status == 200:
        return 0
    if status == 206:
        begins = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
        return offset if begins and int(begins[1]) == offset else None
    if status == 416 and offset:
        return None
    if status in _AGAIN_STATUSES:
        raise _AgainError(f"the server answers {status} {response.reason_phrase}")
    shown = shown_url(str(response.url))
    raise DownloadError(f"{shown}: the server answers {status} {response.reason_phrase}".rstrip())


def complete(
    part: Path,
    target: Path,
    sha256: str | None,
    fill: Callable[[], None],
    on_hashed: OnBytes | None = None,
) -> None:
    """Fill `part` by `fill`, check it, and give it its final name `target`.

    When the wrong bytes may stem from an earlier run whose remains were resumed, they are thrown away and
    fetched once more from the start.

    Raises:
        ChecksumError: freshly fetched bytes are not the expected ones; neither file is left.
        DownloadError: from `fill`; `part` is kept for the next run.
    """
    while True:
        resumed = part_bytes(part) > 0
        fill()
        actual = sha256_of(part, on_hashed) if sha256 is not None else None
        if actual == sha256:
            part.replace(target)
            return
        part.unlink()
        if not resumed:
            raise ChecksumError(
                f"{target.name}: the bytes have sha256 {actual}, expected {sha256}; nothing is installed"
            )
