"""What the processor can do, as far as the integer products of a quantized decoder depend on it.

On x86 without VNNI, pairs of u8 x s8 products are added up in 16 bits and saturate; a decoder for such a
machine holds 7-bit weights. The importer, the session and `crosslight doctor` all ask here.

Linux is read from /proc/cpuinfo and macOS from sysctl. Windows tells of AVX2 and of Arm's dot products but
not of VNNI, so x86 there counts as without. macOS and Windows are written from documentation, untested.
"""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

_FEATURES: Final = {
    # as Linux, macOS (Intel) and macOS (Arm) spell them
    "avx2": "avx2",
    "avx512f": "avx512",
    "avx512vl": "avx512",
    "avx_vnni": "avx_vnni",
    "avx512_vnni": "avx512_vnni",
    "avx512vnni": "avx512_vnni",
    "amx_int8": "amx_int8",
    "asimddp": "dotprod",
    "feat_dotprod": "dotprod",
    "i8mm": "i8mm",
    "feat_i8mm": "i8mm",
}
_WIDE_SUMS: Final = frozenset({"avx_vnni", "avx512_vnni", "amx_int8"})
"""Features that add products up in 32 bits."""

_X86: Final = frozenset({"x86_64", "amd64", "i386", "i686", "x86"})


@dataclass(frozen=True, slots=True)
class Processor:
    """The features of this machine's processor that matter here."""

    architecture: str
    """As `platform.machine` says, in lower case."""
    name: str
    features: frozenset[str]
    """Of avx2, avx512, avx_vnni, avx512_vnni, amx_int8, dotprod, i8mm."""

    @property
    def saturates(self) -> bool:
        """Whether u8 x s8 products may saturate; an x86 whose features are unknown counts as such."""
        return self.architecture in _X86 and not self.features & _WIDE_SUMS

    def __str__(self) -> str:
        """Name it for people: `Intel(R) Xeon(R) (x86_64: amx_int8, avx2, ...)`."""
        features = ", ".join(sorted(self.features)) or "no known features"
        return f"{self.name} ({self.architecture}: {features})"


def detect_processor() -> Processor:
    """Look at the processor this runs on; what cannot be found out is left out."""
    architecture = platform.machine().lower()
    if sys.platform == "linux":
        name, features = parse_cpuinfo(_read_text(Path("/proc/cpuinfo")))
    elif sys.platform == "darwin":
        name, features = parse_sysctl(_sysctl_output())
    else:
        name, features = "", _windows_features()
    return Processor(architecture, name or platform.processor() or "unknown processor", features)


def u8s8_saturates() -> bool:
    """Whether 8-bit weights would give wrong sums on this machine, so that 7 bits are to be used."""
    return detect_processor().saturates


def n_usable_cores() -> int:
    """Return how many physical cores this process may use, 1 at least.

    Two threads of one core share its multipliers, so threads beyond this only wait for each other.
    """
    physical = psutil.cpu_count(logical=False) or 1
    logical = psutil.cpu_count() or physical
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else logical
    return max(1, min(physical, allowed))


def parse_cpuinfo(text: str) -> tuple[str, frozenset[str]]:
    """Return name and features from the text of Linux's /proc/cpuinfo; cores that differ count as the least.

    A hybrid processor whose small cores lack a feature may run a thread on one of them.
    """
    name = ""
    cores: list[frozenset[str]] = []
    for line in text.splitlines():
        key, _, value = (part.strip() for part in line.partition(":"))
        if key == "model name":
            name = name or value
        elif key in {"flags", "Features"}:
            cores.append(_known(value.split()))
    return name, frozenset.intersection(*cores) if cores else frozenset()


def parse_sysctl(text: str) -> tuple[str, frozenset[str]]:
    """Return name and features from the output of macOS's `sysctl machdep.cpu hw.optional`."""
    name = ""
    words: list[str] = []
    for line in text.splitlines():
        key, _, value = (part.strip() for part in line.partition(":"))
        if key == "machdep.cpu.brand_string":
            name = value
        elif key in {"machdep.cpu.features", "machdep.cpu.leaf7_features"}:
            words += value.split()
        elif key.startswith("hw.optional.arm.") and value == "1":
            words.append(key.rpartition(".")[2])
    return name, _known(words)


def _known(words: Iterable[str]) -> frozenset[str]:
    return frozenset(_FEATURES[word.lower()] for word in words if word.lower() in _FEATURES)


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _sysctl_output() -> str:
    command = ["/usr/sbin/sysctl", "machdep.cpu", "hw.optional"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _windows_features() -> frozenset[str]:
    """Ask IsProcessorFeaturePresent, which knows 40 (AVX2), 41 (AVX-512F) and 43 (Arm v8.2 dot products)."""
    windll = getattr(ctypes, "windll", None)
    if windll is None:
        return frozenset()
    is_present = windll.kernel32.IsProcessorFeaturePresent
    numbers = {40: "avx2", 41: "avx512", 43: "dotprod"}
    return frozenset(feature for number, feature in numbers.items() if is_present(number))
