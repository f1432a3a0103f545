"""How this machine reaches the network: its trust store, its proxies, its package index settings.

Everything is taken from where the user has already told pip, requests or the system; Crosslight has no
network settings of its own. This file fetches nothing.
"""

from __future__ import annotations

import configparser
import os
import queue
import ssl
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import httpx
import platformdirs

from model.errors import DownloadError

_T = TypeVar("_T")

_BUNDLE_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")

# A server that has begun to answer may take its time; one that cannot be connected to should be given up
# before the user wonders.
_TIMEOUT = httpx.Timeout(60.0, connect=8.0)


def make_client() -> httpx.Client:
    """Return an HTTP client with the system's trust store, the user's proxies and sober timeouts.

    Proxies come from HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.

    Raises:
        DownloadError: a variable names a bundle of certificates that cannot be read.
    """
    return httpx.Client(verify=_tls_context(), timeout=_TIMEOUT, follow_redirects=True)


def _tls_context() -> ssl.SSLContext:
    """Trust what the system trusts (SSL_CERT_FILE, SSL_CERT_DIR) and the bundles given to pip and requests.

    They are joined, so that a company's own root in one of them does not hide the public ones.
    """
    context = ssl.create_default_context()
    stated = {os.environ[name]: name for name in _BUNDLE_VARIABLES if os.environ.get(name)}
    if pip_cert := pip_setting("cert"):
        stated.setdefault(pip_cert, "pip's setting cert")
    for value, name in stated.items():
        bundle = Path(value).expanduser()
        try:
            if bundle.is_dir():
                context.load_verify_locations(capath=bundle)
            else:
                context.load_verify_locations(cafile=bundle)
        except OSError as error:  # ssl.SSLError is one
            raise DownloadError(
                f"{name} names certificates that cannot be read: {bundle} ({error})"
            ) from error
    if not stated and not os.environ.get("SSL_CERT_DIR") and not context.cert_store_stats()["x509_ca"]:
        # Some Python builds come without a system store; httpx brings one.
        return httpx.create_ssl_context()
    return context


def pip_setting(name: str) -> str | None:
    """Return a setting of pip (`index-url`) from its variable or its configuration files, None when unset.

    Order and places as pip documents them ("Configuration", docs of pip 26): the variable, the file that
    PIP_CONFIG_FILE names (it takes the place of the user's), the virtual environment's, the user's, the
    machine's.
    """
    variable = os.environ.get("PIP_" + name.upper().replace("-", "_"))
    if variable is not None:
        return variable
    for path in _pip_files():
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue  # pip itself will complain about it; a download of ours need not
        for section in ("install", "global"):
            if value := parser.get(section, name, fallback=None):
                return value
    return None


def _pip_files() -> list[Path]:
    """Return where pip's settings may lie, the strongest first."""
    file_name = "pip.ini" if os.name == "nt" else "pip.conf"
    stated = os.environ.get("PIP_CONFIG_FILE")
    if stated == os.devnull:
        return []
    paths = [Path(stated)] if stated else []
    paths.append(Path(sys.prefix, file_name))
    if not any(path.exists() for path in paths[:-1]):
        paths.append(platformdirs.user_config_path("pip", appauthor=False, roaming=True) / file_name)
        paths += [Path(folder).expanduser() / file_name for folder in ("~/.config/pip", "~/.pip")]
    machine = platformdirs.site_config_dir("pip", appauthor=False, multipath=True)
    paths += [Path(folder, file_name) for folder in machine.split(os.pathsep)]
    if os.name != "nt":
        paths.append(Path("/etc", file_name))
    return paths


def within(seconds: float, what: str, call: Callable[[], _T]) -> _T:
    """Return what `call` returns, or give up on it after `seconds`.

    A connect timeout alone does not bound the wait: it counts for each address of a name, and not at all for
    looking the name up. The abandoned call ends in a thread of its own that keeps nobody from exiting.

    Raises:
        DownloadError: there was no answer in time. What `call` raises is passed on.
    """
    answers: queue.SimpleQueue[tuple[_T | None, BaseException | None]] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put((call(), None))
        except BaseException as error:  # noqa: BLE001 - raised again below, in the thread that asked
            answers.put((None, error))

    threading.Thread(target=ask, name="crosslight-download-probe", daemon=True).start()
    try:
        answer, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise DownloadError(f"{what} did not answer within {seconds:g} s") from None
    if error is not None:
        raise error
    return answer  # type: ignore[return-value]  # no error: `call` returned it
