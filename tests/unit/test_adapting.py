"""Training cases: drawn at sites, prompted as the product prompts, never from what quality is measured on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from unit.fake_model import FakeCodec

from indexer.parse import parse_file
from indexer.types import Reason, RetrievalQuery, RetrievalResult, Retrieved
from lsp_server.adapting.groups import MOST_DEFINITIONS, GroupMaker
from lsp_server.adapting.refusal import Benchmarks, content_key, load_benchmarks, refuse_benchmarks
from lsp_server.adapting.sites import Site, draw_sites, survey
from lsp_server.cli_adapt import only_run
from lsp_server.config import Settings
from lsp_server.errors import UsageError
from lsp_server.feeding import prompt_budget
from model.prompt import PromptDefinition, PromptRequest, build_prompt, definition_ids
from model.training.sequences import KINDS, Group

CODEC = FakeCodec(["return", "    ", "self", "total"])
BILLING = "\n\n".join(
    f'''class Invoice{number}:
    """What a customer owes."""

    def total(self, currency):
        amount = self.amount_{number} + {number}
        return convert(amount, currency)

    def paid_{number}(self):
        return self.total("EUR") <= {number}
'''
    for number in range(8)
)
APP = "from shop.billing import Invoice1, Invoice2, Invoice3\n\n\n" + "\n\n".join(
    f'''def bill_{number}(name, lines):
    """Send it."""
    invoice = Invoice{1 + number % 3}(name, lines[{number}])
    shown = Invoice{1 + number % 3}.total(invoice, currency_{number})
    send_{number}(shown, to=name)
    return invoice
'''
    for number in range(12)
)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    root = tmp_path / "shop-repo"
    for path, text in {"shop/billing.py": BILLING, "shop/app.py": APP, "shop/again.py": APP}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def sites(root: Path, seed: int = 1) -> list[Site]:
    return list(draw_sites(root, seed=seed, without=survey([root]).doubles[root]))


def test_a_files_text_is_drawn_from_once_however_often_it_stands_there(shop: Path) -> None:
    assert len(survey([shop]).doubles[shop]) == 1
    assert {site.path for site in sites(shop)} <= {"shop/billing.py", "shop/app.py", "shop/again.py"}
    assert len({site.path for site in sites(shop)}) == 2


def test_the_survey_tells_contents_and_not_places(shop: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / shop.name
    moved.parent.mkdir()
    before = survey([shop]).digest
    shop.rename(moved)
    assert survey([moved]).digest == before
    (moved / "shop/app.py").write_text(APP + "x = 1\n")
    assert survey([moved]).digest != before


def test_sites_are_the_same_for_the_same_seed(shop: Path) -> None:
    assert sites(shop) == sites(shop)
    assert sites(shop) != sites(shop, seed=2)


def test_a_sites_first_cursor_stands_in_the_file_as_it_is(shop: Path) -> None:
    for site in sites(shop):
        case, text = site.cursors[0].case, (shop / site.path).read_text()
        if site.cursors[0].n_frame_characters is None:
            assert case.prefix + case.target + case.suffix == text


def test_lines_being_written_do_not_show_what_is_written_after_them(shop: Path) -> None:
    n_seen = 0
    for site in sites(shop):
        text = (shop / site.path).read_text()
        for cursor in site.cursors:
            if cursor.n_frame_characters is None:
                continue
            n_seen += 1
            case = cursor.case
            assert text.startswith(case.prefix + case.target)
            assert text.endswith(case.suffix)
            assert len(case.prefix + case.target) <= len(text) - len(case.suffix)
            assert case.suffix.startswith("\n") or not case.suffix
            assert cursor.n_frame_characters == 0 or case.prefix[cursor.n_frame_characters - 1] == "\n"
    assert n_seen


def test_no_line_below_the_same_line_is_drawn_twice(shop: Path) -> None:
    cursors = [cursor.case for site in sites(shop) for cursor in site.cursors]
    lines = [(case.path, case.prefix.count("\n")) for case in cursors]
    assert len(set(lines)) == len(lines)


def test_a_run_is_trained_by_one_process_at_a_time(tmp_path: Path) -> None:
    with (
        only_run(tmp_path),
        pytest.raises(UsageError, match="another `crosslight adapt`"),
        only_run(tmp_path),
    ):
        pass
    with only_run(tmp_path):
        pass


@pytest.mark.parametrize("name", ["openai-agents", "openai_agents-0.24.0", "tanstack-db-0.15.2"])
def test_benchmarks_are_refused_by_the_name_of_their_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(UsageError, match="quality is measured on"):
        refuse_benchmarks([tmp_path / name], load_benchmarks())


@pytest.mark.parametrize(
    ("file", "text"),
    [("pyproject.toml", '[project]\nname = "A2A_SDK"\n'), ("package.json", '{"name": "@tanstack/ai"}')],
)
def test_benchmarks_are_refused_by_the_name_in_their_own_files(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(UsageError, match="cannot be trained on"):
        refuse_benchmarks([tmp_path], load_benchmarks())


def test_benchmarks_are_refused_by_their_content_however_it_is_spaced(shop: Path) -> None:
    key = content_key(APP.replace("    ", "\t").encode())
    assert key is not None
    with pytest.raises(UsageError, match="is a file of some-package"):
        refuse_benchmarks([shop], Benchmarks(frozenset(), {key: "some-package"}))


def test_other_repositories_and_files_that_say_little_are_not_refused(shop: Path) -> None:
    (shop / "shop/__init__.py").write_text('"""A shop."""\n')
    refuse_benchmarks([shop], load_benchmarks())
    assert content_key(b'"""A shop."""\n') is None


def definitions_of(root: Path) -> tuple[Retrieved, ...]:
    parsed = parse_file("shop/billing.py", (root / "shop/billing.py").read_bytes())
    reason = (Reason("symbol", 1, "named"),)
    return tuple(Retrieved(definition, 1.0, reason) for definition in parsed.definitions)


def maker(root: Path, seed: int = 1) -> GroupMaker:
    found = definitions_of(root)

    def retrieve(query: RetrievalQuery) -> RetrievalResult:
        return RetrievalResult(found[: query.n], (), {}, {})

    return GroupMaker(CODEC, Settings(), retrieve, [PromptDefinition("x.py", "useless = 1")], seed=seed)


def groups(root: Path, seed: int = 1) -> list[tuple[Site, Group]]:
    one = maker(root, seed)
    return [(site, group) for site in sites(root) if (group := one.group(site)) is not None]


def text_of(ids: tuple[int, ...]) -> str:
    return CODEC.decode(ids).decode()


def test_groups_are_the_same_for_the_same_seed(shop: Path) -> None:
    assert groups(shop) == groups(shop)
    assert groups(shop) != groups(shop, seed=2)


def test_what_is_to_be_written_ends_where_the_authors_text_ends(shop: Path) -> None:
    for site, group in groups(shop):
        targets = {cursor.case.target for cursor in site.cursors}
        for branch in group.branches:
            assert branch.ids[-1] == CODEC.control.end_of_text
            assert text_of(branch.ids).endswith(tuple(targets))


def test_a_branch_reads_what_the_product_reads(shop: Path) -> None:
    """Frame, live segment and definitions are those of the prompt that a completion there is made from."""
    settings = Settings()
    allowed = {
        definition_ids(CODEC, one, settings.retrieval.definition_tokens)
        for one in [
            *(PromptDefinition(row.definition.path, row.definition.text) for row in definitions_of(shop)),
            PromptDefinition("x.py", "useless = 1"),
        ]
    }
    n_whole = 0
    for site, group in groups(shop):
        if site.path != "shop/billing.py":  # its own definitions are given as they stand around the cursor
            assert set(group.memories) <= allowed
        for branch in group.branches:
            assert len(branch.memories) <= MOST_DEFINITIONS
            if KINDS[branch.kind] == "block":
                continue
            for cursor in site.cursors:
                case = cursor.case
                request = PromptRequest(
                    case.repo.name,
                    case.path,
                    case.prefix,
                    case.suffix,
                    n_frame_characters=cursor.n_frame_characters,
                )
                prompt = build_prompt(CODEC, request, replace(prompt_budget(settings), total_tokens=1 << 20))
                if branch.ids[: len(prompt.live)] == prompt.live and branch.n_finished == prompt.n_finished:
                    n_whole += prompt.frame == group.frames[branch.frame]
    assert n_whole


def test_some_branches_are_given_nothing(shop: Path) -> None:
    branches = [branch for seed in range(8) for _, group in groups(shop, seed) for branch in group.branches]
    assert any(not branch.memories for branch in branches)
    assert any(branch.memories for branch in branches)
