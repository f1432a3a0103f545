"""What completions draft from: other uses that were retrieved, and what was suggested a moment ago."""

import pytest
from fake_model import FakeCodec, FakeDecoder, continues
from memory_catalogue import definition

from indexer.types import Reason, RetrievalResult, Retrieved
from lsp_server.completer import Completer, CompletionRequest, RunningModel
from lsp_server.config import Settings

WRITES = "    total = price_of(order)"
SETTINGS = Settings()


def rows(n, text):
    """Return so many definitions, the last of which is `text`."""
    texts = [f"def other_{i}(): ..." for i in range(n - 1)] + [text]
    return tuple(
        Retrieved(definition(f"{i}.py", f"name_{i}", of, line=1), 1 / (i + 1), (Reason("bm25", i + 1, ""),))
        for i, of in enumerate(texts)
    )


def start(*, index=()):
    """Return a completer of a model that writes one line, and what asks for a completion of it."""
    codec = FakeCodec()
    decoder = FakeDecoder(codec, continues(codec, WRITES))
    completer = Completer(RunningModel("fake", "cpu", codec, decoder), SETTINGS)

    def complete(typed, recent_edits=()):
        request = CompletionRequest(
            "shop", "app.py", "python", f"def f(order):\n{typed}", "\n", False, lambda query: answer(query.n),
            recent_edits=recent_edits,
        )  # fmt: skip
        return completer.complete(request), len(decoder.passes)

    def answer(n):
        return RetrievalResult(index[:n], (), {}, {})

    return complete


@pytest.mark.parametrize("kind", ["retrieved and given", "retrieved beyond what is given"])
def test_definitions_are_drafted_from(kind):
    n = 2 if kind == "retrieved and given" else 3 * SETTINGS.retrieval.definitions
    plain, _ = start(index=rows(n, "def unlike(): ..."))("    total")
    drafted, _ = start(index=rows(n, "def use(order):\n" + WRITES + "\n"))("    total")
    assert drafted.text == plain.text == " = price_of(order)"
    assert plain.drafts_accepted < drafted.drafts_accepted <= drafted.drafts_offered


def test_recent_edits_elsewhere_are_drafted_from():
    plain, _ = start()("    total")
    drafted, _ = start()("    total", ("def use(order):\n" + WRITES,))
    assert drafted.text == plain.text
    assert plain.drafts_accepted < drafted.drafts_accepted


def test_the_last_suggestion_is_drafted_from_at_the_next_keystroke():
    complete = start()
    first, n_first = complete("    tot")
    second, n_both = complete("    tota")
    assert (first.text, second.text) == ("al = price_of(order)", "l = price_of(order)")
    assert n_both - n_first < n_first / 2
    assert second.drafts_accepted >= len(second.text) - 2
