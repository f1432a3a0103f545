"""The file format of cases, and cases drawn from a small repository."""

import json
from pathlib import Path

import pytest

from lsp_server.errors import UsageError
from lsp_server.evaluation.cases import Case, read_cases, write_cases
from lsp_server.evaluation.draw import draw_cases

PYTHON_APP = '''"""Bills."""

import json
from shop.billing import Invoice, VAT
from shop import money


def bill(name):
    """Make one."""
    invoice = Invoice(name, "EUR")
    invoice.note = "Invoice(fake, target)"  # Invoice(in, comment)
    rate = VAT.rate_of("EUR")
    return invoice, rate


def cents(amount):
    # to the nearest
    whole = money.rounded(amount)
    return json.dumps(whole)
'''
FILES = {
    "shop/__init__.py": "",
    "shop/billing.py": "class Invoice:\n    def __init__(self, name):\n        self.name = name\n",
    "shop/money.py": "def rounded(amount):\n    return round(amount, 2)\n",
    "shop/app.py": PYTHON_APP,
    "shop/broken.py": "from shop.billing import Invoice\ndef (:\n    Invoice(1, 2, 3)\n",
    "tests/test_app.py": "from shop.billing import Invoice\n\n\ndef test_it():\n    assert Invoice(name)\n",
    "web/util.ts": "export function render(name: string): string {\n  return name.trim()\n}\n",
    "web/app.ts": 'import { render } from "./util"\n\nexport function show(name: string) {\n'
    "  const html = render(name.toUpperCase())\n  document.body.innerHTML = html\n}\n",
    "web/types.d.ts": 'import { render } from "./util"\nexport declare function show(name: string): void\n',
    "README.md": "# Shop\n\nCall `Invoice(name)`.\n",
}


@pytest.fixture
def shop(tmp_path):
    root = tmp_path / "shop"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_the_files_content_is_prefix_target_suffix(shop):
    cases = draw_cases(shop, n=20, seed=0)
    assert cases
    for case in cases:
        assert case.prefix + case.target + case.suffix == FILES[case.path]


def test_cross_file_cases_stand_behind_imported_names(shop):
    cases = draw_cases(shop, n=20, seed=0, kinds=["cross-file"])
    found = {(case.path, case.prefix.rpartition("\n")[2].strip(), case.target) for case in cases}
    python = {
        ("shop/app.py", "invoice = Invoice(", 'name, "EUR")'),
        ("shop/app.py", "rate = VAT.", 'rate_of("EUR")'),
        ("shop/app.py", "whole = money.", "rounded(amount)"),
    }
    assert found - python == {("web/app.ts", "const html = render(", "name.toUpperCase())")}
    assert len(found & python) == 2  # of a file with more


def test_blocks_are_whole_bodies_after_their_docstrings(shop):
    cases = draw_cases(shop, n=20, seed=0, kinds=["block"])
    targets = {case.target.split("\n")[0] for case in cases}
    assert targets == {
        'invoice = Invoice(name, "EUR")',
        "whole = money.rounded(amount)",
        "const html = render(name.toUpperCase())",
    }
    assert all(case.is_block and case.prefix.rpartition("\n")[2].isspace() for case in cases)


@pytest.mark.parametrize("seed", range(5))
def test_line_cases_are_cut_in_code(shop, seed):
    for case in draw_cases(shop, n=20, seed=seed, kinds=["line"]):
        line = (case.prefix.rpartition("\n")[2] + case.target).strip()
        assert not line.startswith(("#", "import", "from", '"""'))
        assert "# " not in case.target
        assert case.suffix.startswith("\n")


def test_tests_declarations_and_broken_files_are_passed_over(shop):
    drawn = {case.path for seed in range(5) for case in draw_cases(shop, n=50, seed=seed)}
    assert drawn <= {"shop/app.py", "shop/billing.py", "shop/money.py", "web/util.ts", "web/app.ts"}


def test_the_same_seed_draws_the_same_cases_whatever_else_is_drawn(shop):
    together = draw_cases(shop, n=3, seed=7)
    alone = draw_cases(shop, n=3, seed=7, kinds=["line"])
    assert [case for case in together if case.kind == "line"] == alone
    assert draw_cases(shop, n=3, seed=7) == together
    assert [case.id for case in draw_cases(shop, n=3, seed=8)] != [case.id for case in together]
    assert draw_cases(shop, n=2, seed=7, kinds=["line"]) == alone[:2]


def test_a_second_case_of_a_file_comes_after_the_first_of_each(shop):
    cases = draw_cases(shop, n=20, seed=0, kinds=["line"])
    firsts = len({case.path for case in cases})
    assert len({case.path for case in cases[:firsts]}) == firsts
    assert max([case.path for case in cases].count(path) for path in {case.path for case in cases}) <= 2


def test_a_repository_without_code_gives_no_cases(tmp_path):
    (tmp_path / "README.md").write_text("# Nothing\n")
    assert draw_cases(tmp_path, n=3, seed=0) == []


def test_cases_come_back_from_their_file(shop, tmp_path):
    file = tmp_path / "cases.jsonl"
    cases = draw_cases(shop, n=3, seed=0)
    write_cases(cases, file)
    assert read_cases(file) == cases
    assert json.loads(file.read_text().splitlines()[0])["repo"] == "shop"  # so that both can move


def test_a_case_is_known_by_its_content_wherever_its_repository_lies(shop, tmp_path):
    here = Case(shop, "a.py", "x = ", "\n", "1")
    there = Case(tmp_path / "elsewhere" / "shop", "a.py", "x = ", "\n", "1", kind="line")
    assert here.id == there.id
    others = [
        Case(shop, "b.py", "x = ", "\n", "1"),
        Case(shop, "a.py", "x =", "\n", " 1"),
        Case(shop, "a.py", "x = ", "", "1"),
        Case(shop.with_name("store"), "a.py", "x = ", "\n", "1"),
    ]
    assert len({here.id, *(other.id for other in others)}) == 5


GOOD = {"repo": ".", "path": "a.py", "prefix": "x = ", "suffix": "\n", "target": "1"}


def test_the_smallest_case_and_keys_that_are_not_known(tmp_path):
    file = tmp_path / "cases.jsonl"
    file.write_text(json.dumps({**GOOD, "model": "other", "groundtruth": 3}) + "\n\n")
    assert read_cases(file) == [Case(tmp_path, "a.py", "x = ", "\n", "1", "given")]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "holds no cases"),
        ("{", r"cases.jsonl:1: not JSON"),
        ("[]", r"cases.jsonl:1: not a JSON object"),
        (json.dumps({**GOOD, "target": 3}), r"cases.jsonl:1: `target` is missing"),
        (json.dumps({**GOOD, "target": "\n"}), r"cases.jsonl:1: `target` is empty"),
        (json.dumps({**GOOD, "kind": None}), r"cases.jsonl:1: `kind` is no text"),
        (
            json.dumps(GOOD) + "\n" + json.dumps({**GOOD, "repo": "gone"}),
            r"cases.jsonl:2: `repo` .*gone is not",
        ),
    ],
)
def test_a_file_that_holds_no_cases_says_where_and_why(tmp_path, text, complaint):
    file = tmp_path / "cases.jsonl"
    file.write_text(text)
    with pytest.raises(UsageError, match=complaint):
        read_cases(file)


def test_a_missing_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        read_cases(Path(tmp_path / "none.jsonl"))
