"""Adds packages to `packages.tsv`, if their licence, age and content allow it.

    python bench/adapter/pin.py pypi httpx fastapi ...
    python bench/adapter/pin.py npm rxjs ...

Asks the registry, by pip (26 or later) or npm, only for what is named. A package is taken at its newest
version if it declares a licence of `_PERMISSIVE`, had a release before 2024, and carries sources of at least
`_FEWEST_FILES` files; each refusal is said with its reason.
"""

from __future__ import annotations

import argparse
import email
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from pathlib import Path

from packages import LIST, Package, download, members, read_list, sources, write_list

_BEFORE = "2024-01-01"
_FEWEST_FILES = 12
_FEWEST_BYTES = 60_000
_PERMISSIVE = {
    "MIT": "MIT", "MIT License": "MIT", "The MIT License": "MIT", "MIT license": "MIT", "Expat": "MIT",
    "BSD": "BSD", "BSD License": "BSD", "BSD-3-Clause": "BSD-3-Clause", "BSD-2-Clause": "BSD-2-Clause",
    "BSD 3-Clause License": "BSD-3-Clause", "BSD 3-Clause": "BSD-3-Clause", "New BSD": "BSD-3-Clause",
    "BSD-3-clause": "BSD-3-Clause", "Apache-2.0": "Apache-2.0", "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0", "Apache 2.0": "Apache-2.0", "Apache 2": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0", "Apache License Version 2.0": "Apache-2.0", "ISC": "ISC",
    "ISC License (ISCL)": "ISC", "ISC License": "ISC", "Python Software Foundation License": "PSF",
    "PSF-2.0": "PSF", "MIT OR Apache-2.0": "MIT OR Apache-2.0", "MIT AND Apache-2.0": "MIT AND Apache-2.0",
    "Apache-2.0 OR MIT": "MIT OR Apache-2.0", "Apache-2.0 OR BSD-3-Clause": "Apache-2.0 OR BSD-3-Clause",
    "Apache-2.0 OR BSD-2-Clause": "Apache-2.0 OR BSD-2-Clause", "(MIT OR Apache-2.0)": "MIT OR Apache-2.0",
}  # fmt: skip


def pin(registry: str, name: str) -> Package:
    """Return a package as it is to be listed.

    Raises:
        ValueError: It may not be; the message says why.
    """
    facts = _npm_facts(name) if registry == "npm" else {}
    with tempfile.TemporaryDirectory() as folder:
        archive = download(registry, name, facts.get("version"), Path(folder))
        facts = facts or _wheel_facts(archive)
        released = _npm_dates(name, archive) if registry == "npm" else _version_of_then(name)
        licence = _PERMISSIVE.get(facts["licence"])
        if licence is None:
            raise ValueError(f"licence {facts['licence']!r}")
        part = _source_folder(archive) if registry == "npm" else "."
        found = list(sources(archive, part))
        n_bytes = sum(len(data) for _, data in found)
        if len(found) < _FEWEST_FILES or n_bytes < _FEWEST_BYTES:
            raise ValueError(f"{len(found)} source files with {n_bytes} bytes in {part!r}")
        print(
            f"{name} {facts['version']}: {licence}, {len(found)} files, {n_bytes} bytes, {part}", flush=True
        )
        sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    return Package(registry, name, facts["version"], licence, released, part, sha256)  # type: ignore[arg-type]


def _version_of_then(name: str) -> str:
    """Return the newest version that PyPI had before 2024."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--quiet",
        "--no-deps",
        "--ignore-installed",
    ]
    command += [
        "--ignore-requires-python",
        "--only-binary",
        ":all:",
        "--uploaded-prior-to",
        f"{_BEFORE}T00:00:00Z",
    ]
    # A local index need not tell when a file was uploaded, and pip then takes it for old.
    environment = {key: value for key, value in os.environ.items() if key != "PIP_FIND_LINKS"}
    done = subprocess.run(
        [*command, "--report", "-", name],
        capture_output=True,
        text=True,
        check=False,
        env=environment | {"PIP_CONFIG_FILE": os.devnull},
    )
    if done.returncode:
        raise ValueError(f"no release before 2024: {done.stderr.strip()[-150:]}")
    (installed,) = json.loads(done.stdout)["install"]
    return f"before {_BEFORE}: {installed['metadata']['version']}"


def _npm_dates(name: str, archive: Path) -> str:
    """Return the earliest sign in registry or archive that a package was there before 2024.

    Registries that mirror others tell when they took a version over, which may be years later; so the years
    of the licence's copyright and the days of the change log count as well.
    """
    times = _npm_view(name, "time")
    days = [str(day)[:10] for day in times.values()] if isinstance(times, dict) else []
    signs = {"registry": min(days, default=_BEFORE)}
    for path, data in members(archive):
        text = data[:2_000_000].decode("utf-8", "replace")
        if re.match(r"(licen[cs]e|copying|readme)", path, re.IGNORECASE) and (
            years := re.findall(r"(?i)copyright[^\n]{0,40}?\b(20[01]\d|202[0-3])\b", text)
        ):
            signs.setdefault("copyright", min(years))
        if re.match(r"(changelog|changes|history)", path, re.IGNORECASE) and (
            found := re.findall(r"\b(20[012]\d-[01]\d-[0-3]\d)\b", text)
        ):
            signs.setdefault("change log", min(found))
    sign, day = min(signs.items(), key=lambda item: item[1])
    if day >= _BEFORE:
        raise ValueError("no sign that it was there before 2024")
    return f"{sign}: {day}"


def _npm_view(name: str, *keys: str) -> object:
    done = subprocess.run(["npm", "view", "--json", name, *keys], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr.strip()[-200:])
    return json.loads(done.stdout)


def _npm_facts(name: str) -> dict[str, str]:
    facts = _npm_view(name, "version", "license")
    assert isinstance(facts, dict)
    return {"version": facts["version"], "licence": str(facts.get("license"))}


def _wheel_facts(archive: Path) -> dict[str, str]:
    with zipfile.ZipFile(archive) as wheel:
        (path,) = [one for one in wheel.namelist() if one.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(wheel.read(path))
    classifiers = [
        one.rpartition(" :: ")[2]
        for one in metadata.get_all("Classifier", [])
        if one.startswith("License :: ")
    ]
    stated = [metadata.get("License-Expression"), *classifiers, metadata.get("License")]
    named = [re.sub(r"\s+", " ", one).strip() for one in stated if one]
    if any(word in one for one in classifiers for word in ("GPL", "Mozilla", "General Public")):
        return {"version": str(metadata["Version"]), "licence": "; ".join(named)}
    known = next((one for one in named if one in _PERMISSIVE), (named or ["none"])[0][:60])
    return {"version": str(metadata["Version"]), "licence": known}


def _source_folder(archive: Path) -> str:
    """Return `src` where it holds most of what is written in TypeScript or JavaScript, else all."""
    sizes: Counter[str] = Counter()
    for path, data in sources(archive, "."):
        sizes[path.partition("/")[0]] += len(data)
    return next((one for one in ("src", "source") if sizes[one] >= _FEWEST_BYTES), ".")


def main() -> None:
    """Pin what is named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("registry", choices=("pypi", "npm"))
    parser.add_argument("names", nargs="+")
    options = parser.parse_args()
    for name in options.names:
        listed = read_list() if LIST.exists() else []
        if any(one.registry == options.registry and one.name == name for one in listed):
            continue
        try:
            write_list([*listed, pin(options.registry, name)])
        except (ValueError, subprocess.CalledProcessError) as refusal:
            print(f"{name}: left out: {refusal}", flush=True)


if __name__ == "__main__":
    main()
