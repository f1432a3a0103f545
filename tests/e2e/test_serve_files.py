"""What changes on the disk reaches the index of a real server, however much of it there is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command import Command, write_repository
from editor import Editor, editing, run

N_FILES = 400
"""More than are read one by one."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository of many small files, in two folders."""
    files = {
        f"{folder}/module_{n}.py": text(n, "main") for folder in ("one", "two") for n in range(N_FILES // 2)
    }
    return write_repository(tmp_path / "project", files)


def text(n: int, branch: str) -> str:
    return f"def work_{n}_on_{branch}(first):\n    return first + {n}\n"


async def until_indexed(editor: Editor, message: str) -> None:
    """Wait until the repository holds what a message says."""
    await editor.until(lambda status: status["repositories"][0]["message"].startswith(message))


def test_a_branch_switch_is_taken_up_whole(without_model: Command, project: Path) -> None:
    async def test() -> None:
        async with editing(without_model) as editor:
            await editor.initialize(project)
            await until_indexed(editor, f"{N_FILES} definitions in {N_FILES} files")
            for n in range(N_FILES // 2):
                (project / "one" / f"module_{n}.py").write_text(
                    text(n, "feature") + text(n + 1000, "feature")
                )
                (project / "two" / f"module_{n}.py").unlink()
            (project / "three").mkdir()
            for n in range(10):
                (project / "three" / f"module_{n}.py").write_text(text(n, "feature"))
            await until_indexed(editor, f"{N_FILES + 10} definitions in {N_FILES // 2 + 10} files")

    run(test())
    found = without_model.ok("search", "work_7_on_feature", "--root", project, "-n", 1)
    assert "work_7_on_feature" in found
    assert "work_7_on_main" not in without_model.ok("search", "work_7_on_main", "--root", project)


def test_a_folder_that_goes_takes_its_definitions_along(without_model: Command, project: Path) -> None:
    async def test() -> None:
        async with editing(without_model) as editor:
            await editor.initialize(project)
            await until_indexed(editor, f"{N_FILES} definitions in {N_FILES} files")
            shutil.rmtree(project / "two")
            await until_indexed(editor, f"{N_FILES // 2} definitions in {N_FILES // 2} files")

    run(test())
