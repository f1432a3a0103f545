"""The real server with the real model, driven by a real client over pipes."""

from __future__ import annotations

import asyncio
import json

import psutil
import pytest
from command import write_repository
from editor import PATIENCE_S, editing
from lsprotocol import types

MONEY = {
    "shop/money.py": "def to_cents(amount):\n    return round(amount * 100)\n",
    "src/money.ts": "export function toCents(amount: number): number {\n  return amount * 100;\n}\n",
    "money/money.go": """package money

func ToCents(amount float64) int {
\treturn int(amount * 100)
}
""",
    "src/money.rs": "pub fn to_cents(amount: f64) -> i64 {\n    (amount * 100.0) as i64\n}\n",
    "Money.java": """class Money {
  static long toCents(double amount) {
    return (long) (amount * 100);
  }
}
""",
}
USES = {
    "python": (
        "shop/app.py",
        "from shop.money import to_cents\n\n\ndef price(amount):\n    return to_",
        "\n",
    ),
    "typescript": (
        "src/app.ts",
        'import { toCents } from "./money";\n\nexport function price(amount: number) {\n  return toC',
        "\n}\n",
    ),
    "go": (
        "main.go",
        'package main\n\nimport "shop/money"\n\nfunc price(amount float64) int {\n\treturn money.To',
        "\n}\n",
    ),
    "rust": (
        "src/main.rs",
        "mod money;\nuse money::to_cents;\n\nfn price(amount: f64) -> i64 {\n    to_",
        "\n}\n",
    ),
    "java": (
        "App.java",
        "class App {\n  static long price(double amount) {\n    return Money.toC",
        "\n  }\n}\n",
    ),
}
CONTINUES = {
    "python": "cents(amount",
    "typescript": "ents(amount",
    "go": "Cents(amount",
    "rust": "cents(amount",
    "java": "ents(amount",
}


def end_of(text):
    return text.count("\n"), len(text) - text.rfind("\n") - 1


async def informed(editor, uri, position, name):
    """Ask until a definition is attended to: the first time, it may still have to be found or encoded."""

    async def ask():
        while True:
            item = await editor.suggest(uri, *position)
            trace = await editor.run("crosslight.explainLast")
            given = [one for one in trace["retrieved"] if one["n_tokens"]]
            if any(one["qualified_name"].endswith(name) for one in given):
                return item, trace
            await editor.run("crosslight.clearCaches")
            await asyncio.sleep(0.3)  # definitions are encoded while nobody asks

    return await asyncio.wait_for(ask(), PATIENCE_S)


@pytest.fixture(scope="module")
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    files = MONEY | {name: before + after for name, before, after in USES.values()}
    return write_repository(tmp_path_factory.mktemp("r") / "prices", files)


@pytest.fixture(scope="module")
def editor(loop, crosslight, repository):
    """An editor that the module's tests share, with the model loaded and the repository indexed."""
    session = editing(crosslight)
    editor = loop.run_until_complete(session.__aenter__())
    loop.run_until_complete(editor.initialize(repository, options={"debounceMs": 0, "minProbability": 0}))
    loop.run_until_complete(editor.until_ready())
    yield editor
    loop.run_until_complete(session.__aexit__(None, None, None))


@pytest.mark.parametrize("language", USES)
def test_code_is_completed_in_five_languages(loop, editor, repository, language):
    name, before, after = USES[language]

    async def test():
        uri = editor.open((repository / name).as_uri(), before + after, language)
        item, trace = await informed(editor, uri, end_of(before), "ents")
        assert item is not None, (await editor.status())["last"]
        assert item.insert_text.startswith(CONTINUES[language])
        assert trace["request"]["language"] == language
        editor.close(uri)

    loop.run_until_complete(test())


def test_typing_a_suggestion_needs_no_model(loop, editor, repository):
    name, before, after = USES["python"]

    async def test():
        uri = editor.open((repository / name).as_uri(), before + after)
        line, column = end_of(before)
        text = (await editor.suggest(uri, line, column)).insert_text
        for n in range(1, len(text)):
            editor.type(uri, line, column + n - 1, text[n - 1])
            item = await editor.suggest(uri, line, column + n, invoked=False)
            assert item.insert_text == text[n:]
            assert (await editor.status())["last"]["source"] == "known"
        editor.edit(uri, (line, column), (line, column + len(text) - 1), "")
        assert (await editor.suggest(uri, line, column, invoked=False)).insert_text == text
        editor.close(uri)

    loop.run_until_complete(test())


def test_after_acceptance_the_next_suggestion_is_there_already(loop, editor, repository):
    name, before, after = USES["python"]

    async def test():
        uri = editor.open((repository / name).as_uri(), before + after)
        line, column = end_of(before)
        text = (await editor.suggest(uri, line, column)).insert_text
        await editor.until(lambda status: status["running"] == 0)  # what comes next is computed meanwhile
        editor.type(uri, line, column, text)
        await editor.suggest(uri, *end_of(before + text), invoked=False)
        assert (await editor.status())["last"]["source"] == "foreseen"
        editor.close(uri)

    loop.run_until_complete(test())


def test_of_a_storm_of_requests_one_is_answered_and_nothing_is_left(loop, editor, repository):
    process = psutil.Process(editor.process.pid)

    async def storm(uri, line, column):
        requests = []
        for n in range(200):
            editor.type(uri, line, column + n, "x")
            requests.append(editor.ask(uri, line, column + n + 1, invoked=n % 3 == 0))
            if n % 10 == 9:
                await editor.status()  # so that some of them begin to be answered
        answers = await asyncio.gather(*requests)
        status = await editor.until(lambda status: status["running"] == 0)
        assert all(not (answer and answer.items) for answer in answers[:-1])
        return status

    async def test():
        name, before, after = USES["python"]
        uri = editor.open((repository / name).as_uri(), before + after)
        line, column = end_of(before)
        await storm(uri, line, column)
        kept = process.memory_info().rss, process.num_threads()
        editor.edit(uri, (line, column), (line, column + 200), "")
        status = await storm(uri, line, column)
        assert status["last"]["reason"] not in {"superseded", "cancelled", "failed"}
        assert process.memory_info().rss < kept[0] + (64 << 20)
        assert process.num_threads() <= kept[1] + 2
        editor.close(uri)

    loop.run_until_complete(test())


def test_two_repositories_in_one_window_do_not_mix(loop, editor, repository, tmp_path):
    other = write_repository(
        tmp_path / "bank",
        {
            "money.py": "def to_yen(amount):\n    return amount * 150\n",
            "app.py": "from money import to_yen\n",
        },
    )

    async def test():
        editor.client.workspace_did_change_workspace_folders(folders(added=[other]))
        status = await editor.until_ready()
        assert [one["root"] for one in status["repositories"]] == sorted(map(str, (repository, other)))
        before = "from money import to_yen\n\n\ndef price(amount):\n    return to_"
        uri = editor.open((other / "app.py").as_uri(), before + "\n")
        item, trace = await informed(editor, uri, end_of(before), "to_yen")
        assert item.insert_text.startswith("yen(amount")
        assert all("ents" not in one["qualified_name"] for one in trace["retrieved"])
        editor.close(uri)
        editor.client.workspace_did_change_workspace_folders(folders(removed=[other]))
        assert [one["root"] for one in (await editor.status())["repositories"]] == [str(repository)]

    loop.run_until_complete(test())


def folders(added=(), removed=()):
    def named(roots):
        return [types.WorkspaceFolder(root.as_uri(), root.name) for root in roots]

    event = types.WorkspaceFoldersChangeEvent(named(added), named(removed))
    return types.DidChangeWorkspaceFoldersParams(event)


def test_a_saved_file_is_found_by_the_next_completion(loop, editor, repository):
    async def test():
        tax = repository / "shop" / "tax.py"
        tax.write_text("def add_value_added_tax(cents, country):\n    return cents * 119 // 100\n")
        saved = types.DidSaveTextDocumentParams(types.TextDocumentIdentifier(tax.as_uri()))
        editor.client.text_document_did_save(saved)
        before = "from shop.tax import add_value_added_tax\n\n\ndef gross(cents):\n    return add_"
        uri = editor.open((repository / "shop" / "gross.py").as_uri(), before + "\n")

        item, _ = await informed(editor, uri, end_of(before), "add_value_added_tax")
        assert item.insert_text.startswith("value_added_tax(cents")
        editor.close(uri)

    loop.run_until_complete(test())


def test_what_another_buffer_defines_is_found_before_it_is_saved(loop, editor, repository):
    async def test():
        money = editor.open((repository / "shop" / "money.py").as_uri(), MONEY["shop/money.py"])
        editor.type(
            money,
            0,
            0,
            "def split_evenly(cents, number_of_people):\n    return cents // number_of_people\n\n\n",
        )
        before = "from shop.money import split_evenly\n\n\ndef share(cents):\n    return split_"
        uri = editor.open((repository / "shop" / "share.py").as_uri(), before + "\n")
        item, _ = await informed(editor, uri, end_of(before), "split_evenly")
        assert item.insert_text.startswith("evenly(cents")
        editor.close(uri)
        editor.close(money)

    loop.run_until_complete(test())


def test_accepted_suggestions_are_counted(loop, editor, repository, crosslight):
    name, before, after = USES["rust"]

    async def test():
        uri = editor.open((repository / name).as_uri(), before + after, "rust")
        item = await editor.suggest(uri, *end_of(before))
        await editor.run(item.command.command, *item.command.arguments)
        editor.close(uri)

    loop.run_until_complete(test())
    told = json.loads(crosslight.ok("stats", "--json"))
    assert told["total"]["accepted"] >= 1
    assert "rust" in crosslight.ok("stats")
