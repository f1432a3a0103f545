"""Running a program where there is no network, or where every connection that it opens is written down."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from command import has_program


def unshare() -> tuple[str, ...]:
    """Return what runs a program where there is no network, not even a loopback that is up."""
    own_user = () if os.geteuid() == 0 else ("--map-root-user",)
    return ("unshare", "--net", *own_user)


def strace(log: Path) -> tuple[str, ...]:
    """Return what runs a program and writes down what it, and all that it starts, connects to or sends to."""
    calls = "connect,sendto,sendmsg,sendmmsg"
    return ("strace", "--follow-forks", "--seccomp-bpf", f"--trace={calls}", f"--output={log}")


def is_permitted(*command: str) -> bool:
    """Return whether something that runs a program is there, and may be used."""
    if not has_program(command[0]):
        return False
    return subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
