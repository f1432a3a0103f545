"""An editor completes while the disk is full under all that is kept: nothing breaks, nothing is lost."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from pathlib import Path

import pytest
from command import SHOP, default_model
from editor import ACCEPT, editing, run

MORE = '''"""Refunds."""


def refund_customer(invoice_number: int, reason_code: str) -> int:
    """Give money back."""
    return invoice_number
'''
TEXT = "from billing import Invoice\n\n\ndef bill(name: str) -> Invoice:\n    invoice = Invoice("
END = (4, len("    invoice = Invoice("))


@pytest.fixture
def disk(small_disk):
    return small_disk(64 << 20)


@pytest.fixture
def on_disk(homes, disk):
    """A user whose cache and data lie on one small disk, beside the model."""
    command = homes.new().with_variables(XDG_CACHE_HOME=str(disk / "cache"), XDG_DATA_HOME=str(disk / "data"))
    command.models.mkdir(parents=True, mode=0o700)
    (command.models / default_model().name).symlink_to(default_model())
    yield command
    command("engine", "stop")
    command("index-worker", "--stop")


def fill(disk: Path) -> Path:
    """Write until nothing more fits, not one byte."""
    filler = disk / "filler"
    fd = os.open(filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for n_bytes in (1 << 20, 1 << 12, 1):
        with contextlib.suppress(OSError):
            while True:
                os.write(fd, b"\0" * n_bytes)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        os.write(fd, b"\0")
    os.close(fd)
    return filler


async def accepted(editor, uri, line, character):
    """Have a completion, and take it."""
    item = await editor.suggest(uri, line, character)
    assert item is not None
    assert item.insert_text
    await editor.run(ACCEPT, *item.command.arguments)
    return item


def messages(editor):
    return [one.message for one in editor.client.messages]


def test_a_disk_that_fills_up_costs_no_completion_and_loses_nothing(on_disk, disk, repository):
    async def test():
        async with editing(on_disk, "--stdio") as editor:
            await editor.initialize(repository)
            uri = editor.open((repository / "new.py").as_uri(), TEXT)
            await editor.until_ready()
            await accepted(editor, uri, *END)

            filler = fill(disk)
            (repository / "refunds.py").write_text(MORE)
            saved = editor.open((repository / "refunds.py").as_uri(), MORE)
            editor.save(saved)
            status = await editor.until(lambda status: status["repositories"][0]["kind"] == "failed")
            assert "full" in status["repositories"][0]["message"]
            editor.type(uri, *END, 'name, "EUR")\n    invoice.')
            await accepted(editor, uri, 5, len("    invoice."))
            (line,) = [one for one in messages(editor) if "full" in one and repository.name in one]

            filler.unlink()
            status = await editor.until_ready()
            assert "in 3 files" in status["repositories"][0]["message"]
            assert [one for one in messages(editor) if one == line] == [line]
            editor.type(uri, 5, len("    invoice."), "total_cents()\n    number = refund_cust")
            item = await editor.suggest(uri, 6, len("    number = refund_cust"))
            assert item.insert_text.startswith("omer(")
            await editor.run(ACCEPT, *item.command.arguments)
            assert len(messages(editor)) == len(set(messages(editor))) <= 2

    run(test())
    on_disk("engine", "stop")
    counted = json.loads(on_disk.ok("stats", "--json"))
    assert counted["total"]["accepted"] >= 2  # all but the one that was accepted on the full disk
    found = json.loads(on_disk.ok("search", "refund_customer", "--root", repository, "--json"))
    assert found[0]["definition"]["name"] == "refund_customer"
    summary = json.loads(on_disk.ok("index", repository, "--json"))
    assert summary["n_definitions"] == summary["n_embedded"]


def test_an_engine_that_starts_on_a_full_disk_completes_and_recovers(on_disk, disk, repository):
    filler = fill(disk)

    async def test():
        async with editing(on_disk, "--stdio") as editor:
            await editor.initialize(repository)
            uri = editor.open((repository / "new.py").as_uri(), TEXT)
            status = await editor.until(
                lambda status: (
                    (status["model"]["kind"], status["repositories"][0]["kind"]) == ("ready", "failed")
                )
            )
            assert "full" in status["repositories"][0]["message"]
            assert (await editor.suggest(uri, *END)) is not None
            assert [one for one in messages(editor) if "full" in one]
            filler.unlink()
            await editor.run("crosslight.reindex")
            await editor.until_ready()
            assert len(messages(editor)) == len(set(messages(editor))) <= 2

    run(test())
    assert (repository / "billing.py").read_text() == SHOP["billing.py"]
