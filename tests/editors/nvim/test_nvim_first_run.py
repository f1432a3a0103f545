"""The README's steps, taken literally in an empty home."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from nvim_editor import PLUGIN
from nvim_scenes import BLOCK


def steps(language):
    """Return what the README has in that language, in order."""
    readme = (PLUGIN / "README.md").read_text()
    blocks = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", readme, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{margin}", "", text, flags=re.MULTILINE) for margin, text in blocks]


@pytest.fixture
def newcomer(editor_homes):
    """A home without any settings of Neovim, where the server and its model are installed already."""
    home = editor_homes.new(with_model=True)
    data, config = home.home / ".local" / "share", home.home / ".config"
    data.parent.mkdir()
    (home.home / "data").rename(data)
    (home.home / "config").rename(config)
    newcomer = home.with_variables(XDG_DATA_HOME=str(data), XDG_CONFIG_HOME=str(config))
    yield newcomer
    newcomer("engine", "stop")


def test_the_readmes_steps_lead_to_a_suggestion(start, newcomer, tmp_path, program):
    clone = tmp_path / "clone"
    shutil.copytree(PLUGIN, clone / "editors" / "nvim")
    path = f"{program.parent}:{Path(newcomer.program[0]).parent}:{newcomer.environment['PATH']}"
    environment = newcomer.environment | {"PATH": path}
    for step in steps("sh"):
        if "pipx" not in step:  # the server is there
            subprocess.run(["sh", "-euc", step], cwd=clone, env=environment, check=True, timeout=60)
    init = newcomer.home / ".config" / "nvim" / "init.lua"
    init.parent.mkdir()
    init.write_text(steps("lua")[0])

    editor = start("shop/mail.py", environment=environment)
    editor.until_ready()
    editor.open("shop/report.py", BLOCK)
    assert "\n" in editor.until_suggested()
    editor.keys("<Tab><Esc>")
    assert len(editor.lines) > BLOCK.count("\n") + 1
    editor.ex("checkhealth crosslight")
    report = editor.until(lambda: "\n".join(editor.lines) if len(editor.lines) > 3 else "", "report")
    assert "ERROR" not in report
    editor.ex("help crosslight")
    assert editor.lua("return vim.fn.expand('%:t')") == "crosslight.txt"
    assert editor.messages == ""
