"""Serving, indexing and completing need no network, and nobody even tries to connect."""

from __future__ import annotations

import pytest
from editor import editing, run
from isolation import is_permitted, strace, unshare

BEFORE = "from billing import Invoice\n\n\ndef bill(name):\n    invoice = Invoice(name, 'EUR')\n"
LINE = "    invoice.add_"

HOW = pytest.mark.parametrize("how", ["--standalone", "--stdio"])


@HOW
def test_a_server_needs_no_network(with_model, repository, how):
    if not is_permitted(*unshare()):
        pytest.skip("SERVING OFFLINE NOT TESTED: network namespaces are not permitted here")
    run(serving(with_model.under(*unshare()), repository, how))


@HOW
def test_serving_indexing_and_completing_open_no_network_connection(with_model, repository, tmp_path, how):
    log = tmp_path / "calls"
    if not is_permitted(*strace(log)):
        pytest.skip("CONNECTIONS OF THE SERVER NOT WATCHED: there is no strace, or it is not permitted here")
    with_model.config_file.parent.mkdir(parents=True)
    # strace stays until all have ended that were started under it
    with_model.config_file.write_text("[index]\nworker_idle_s = 1\n[engine]\nidle_s = 1\n")
    run(serving(with_model.under(*strace(log)), repository, how))
    calls = log.read_text().splitlines()
    assert [call for call in calls if "sa_family=" in call and "AF_UNIX" not in call] == []
    assert [call for call in calls if "connect(" in call and "/crosslight/" in call], (
        "the index was not asked"
    )


async def serving(command, repository, how):
    """Have a repository indexed and a cursor completed with what was found there."""
    async with editing(command, how) as editor:
        await editor.initialize(repository)
        uri = editor.open((repository / "new.py").as_uri(), BEFORE + LINE)
        status = await editor.until_ready()
        assert "definitions in 2 files" in status["repositories"][0]["message"]
        while "line(" not in (item := await editor.suggest(uri, 5, len(LINE))).insert_text:
            assert item  # the first one may come before the index has answered
        trace = await editor.run("crosslight.explainLast")
        assert "Invoice.add_line" in {one["qualified_name"] for one in trace["retrieved"]}, trace
        assert trace["retrieval_notes"] == []
