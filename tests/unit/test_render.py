from pathlib import Path

import pytest
from traces import trace_of

from lsp_server.document import Document
from lsp_server.render import ghost_text


@pytest.mark.parametrize(
    ("prefix", "suffix", "text", "replaces", "shown"),
    [
        ("", "", "x = 1", 0, "1 | «x = 1»\n2 | \n"),
        ("a\nb(", ")\nc\n", "1, 2", 0, "1 | a\n2 | b(«1, 2»)\n3 | c\n4 | \n"),
        ("b(", ")\nc", "1)", 1, "1 | b(«1)»\n2 | c\n"),
        ("def f():\n    ", "\n", "a\n    b", 0, "1 | def f():\n2 |     «a»\n3 | «    b»\n4 | \n"),
        ("a\r\nb", "\r\nc", "!", 0, "1 | a\n2 | b«!»\n3 | c\n"),
        ("1\n2\n3\n4\n5\n6", "\n7\n8\n9", "!", 0, "2 | 2\n3 | 3\n4 | 4\n5 | 5\n6 | 6«!»\n7 | 7\n8 | 8\n"),
    ],
)
def test_ghost_text_stands_in_place(prefix, suffix, text, replaces, shown):
    document = Document(Path("a.py"), prefix, suffix)
    assert ghost_text(document, trace_of(text, replaces=replaces), marked=True).plain == shown
