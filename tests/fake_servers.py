"""A model hub and a package index on 127.0.0.1, which misbehave on request and remember what was asked."""

import hashlib
import io
import json
import re
import sys
import threading
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from model.catalog import CatalogEntry, WheelPart

JSON_INDEX = "application/vnd.pypi.simple.v1+json"


@dataclass
class Asked:
    """One request that was served."""

    path: str
    range: str | None
    authorization: str | None
    n_sent: int = 0


@dataclass
class FakeServer:
    """Serves `pages`; every entry of `cut_after`, `refuse` is used up by one request."""

    pages: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    cut_after: dict[str, list[int]] = field(default_factory=dict)
    refuse: dict[str, list[int]] = field(default_factory=dict)
    without_ranges: bool = False
    hold: threading.Event | None = None
    stall_after: dict[str, int] = field(default_factory=dict)
    """Path -> how many bytes to send before nothing more comes; `stalled` is set then."""
    stalled: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    asked: list[Asked] = field(default_factory=list)

    def __post_init__(self):
        handler = type("Handler", (_Handler,), {"fake": self})
        self._http = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def close(self):
        if self.hold:
            self.hold.set()
        self.released.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def put(self, path: str, content: bytes, kind: str = "application/octet-stream"):
        self.pages[path] = (kind, content)

    def asked_for(self, path: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path == path]

    def put_hub_model(self, repo: str, files: dict[str, bytes], *, small=(), revision="c0ffee", **facts):
        siblings = []
        for name, content in files.items():
            sibling = {"rfilename": name, "size": len(content)}
            if name not in small:
                sibling["lfs"] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            siblings.append(sibling)
            self.put(f"/{repo}/resolve/{revision}/{name}", content)
        answer = {"id": repo, "sha": revision, "siblings": siblings} | facts
        self.put(f"/api/models/{repo}", json.dumps(answer).encode(), "application/json")

    def put_wheel(self, part: WheelPart, member: bytes, *, style="json", sha256=None, name_in_zip=None):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name_in_zip or part.member, member)
        content = buffer.getvalue()
        sha256 = hashlib.sha256(content).hexdigest() if sha256 is None else sha256
        name = f"{part.package.replace('-', '_')}-{part.version}-py3-none-any.whl"
        self.put(f"/files/{name}", content)
        page = f"/simple/{part.package}/"
        if style == "json":
            listed = {"filename": name, "url": f"../../files/{name}", "hashes": {"sha256": sha256}}
            self.put(page, json.dumps({"files": [listed]}).encode(), JSON_INDEX)
        else:
            anchor = f'<a href="../../files/{name}#sha256={sha256}">{name}</a>'
            self.put(page, f"<!DOCTYPE html><html><body>{anchor}</body></html>".encode(), "text/html")
        return f"/files/{name}"

    def put_wheels(self, entry: CatalogEntry, content: bytes, *, style="json") -> list[str]:
        paths, begin = [], 0
        for part in entry.wheels:
            paths.append(self.put_wheel(part, content[begin : begin + part.member_bytes], style=style))
            begin += part.member_bytes
        return paths


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), ConnectionError):  # a client that hung up is a part of the tests
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    fake: FakeServer
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        asked = Asked(path, self.headers["Range"], self.headers["Authorization"])
        self.fake.asked.append(asked)
        if self.fake.hold:
            self.fake.hold.wait()
        if self.fake.refuse.get(path):
            return self._empty(self.fake.refuse[path].pop(0))
        if path in self.fake.redirects:
            return self._empty(302, Location=self.fake.redirects[path])
        if path not in self.fake.pages:
            return self._empty(404)
        kind, content = self.fake.pages[path]
        start = 0
        if asked.range and not self.fake.without_ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked.range)[1])
            if start >= len(content):
                return self._empty(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        cuts = self.fake.cut_after.get(path)
        body = content[start : start + cuts.pop(0)] if cuts else content[start:]
        self.close_connection = len(body) < len(content) - start
        if path in self.fake.stall_after:
            self.wfile.write(body[: self.fake.stall_after[path]])
            self.fake.stalled.set()
            self.fake.released.wait()
            return None
        asked.n_sent = len(body)
        self.wfile.write(body)
        return None

    def _empty(self, status: int, **headers: str):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def make_entry(content: bytes, n_wheels: int = 3, **changes) -> CatalogEntry:
    """Return a catalog entry of `content`, carried by wheels of about the same size."""
    step = -(-len(content) // n_wheels)
    sizes = [min(step, len(content) - begin) for begin in range(0, len(content), step)]
    wheels = tuple(
        WheelPart(f"some-part{n}", "1.0", f"some_part{n}/part.bin", size, size)
        for n, size in enumerate(sizes, 1)
    )
    facts = {
        "name": "tiny",
        "title": "Tiny",
        "licence": "Apache-2.0",
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "installed_bytes": 1000,
        "adapter": None,
        "hub_repo": "Some/Tiny-GGUF",
        "hub_file": "tiny.gguf",
        "wheels": wheels,
    }
    return CatalogEntry(**(facts | changes))
