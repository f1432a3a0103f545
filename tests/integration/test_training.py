"""Training on a tiny model: computes what the decoder computes, and goes on exactly where it was ended."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_model import CONFIG, ArrayWeights, random_tensors
from unit.fake_model import FakeCodec

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from model.adapter import with_adapter  # noqa: E402 - what imports torch comes after the check for it
from model.errors import TrainingError  # noqa: E402
from model.graph import build_decoder  # noqa: E402
from model.memory import MemoryEncoder  # noqa: E402
from model.prefill import prefill  # noqa: E402
from model.prompt import PromptBudget, PromptDefinition, PromptRequest, build_prompt  # noqa: E402
from model.session import DecoderSession, load_decoder  # noqa: E402
from model.state import DecodeState  # noqa: E402
from model.training.export import export_adapter, load_adapter  # noqa: E402
from model.training.loop import LOG, StepReport, Trainer, measurements  # noqa: E402
from model.training.network import Network, new_adapter  # noqa: E402
from model.training.plan import make_plan  # noqa: E402
from model.training.recipe import Recipe  # noqa: E402
from model.training.sequences import Branch, Group, GroupFile, write_groups  # noqa: E402
from model.types import Quantization  # noqa: E402

CODEC = FakeCodec(["return", "    ", "self"])
MEMORY_TOKENS = 40
BUDGET = PromptBudget(definition_tokens=MEMORY_TOKENS, order="best_first")
RECIPE = Recipe(rank=4, alpha=8, memory_tokens=MEMORY_TOKENS, warmup_steps=2, groups_per_step=2, seed=5)
WEIGHTS = ArrayWeights(CONFIG, random_tensors())


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Two would wait for each other at each of thousands of tiny products."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network(dtype: torch.dtype = torch.float32) -> Network:
    return Network(WEIGHTS, dtype, RECIPE.scale)


def trained_adapter() -> dict[str, torch.Tensor]:
    """An adapter that changes something."""
    generator = torch.Generator().manual_seed(1)
    adapter = new_adapter(CONFIG, RECIPE.rank, 1)
    with torch.no_grad():
        for factor in adapter.values():
            factor.copy_(torch.randn(factor.shape, generator=generator) * 0.1)
    return adapter


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> DecoderSession:
    folder = tmp_path_factory.mktemp("decoder")
    exact = Quantization("fp32", 8, rotated=False)
    build_decoder(WEIGHTS, exact, folder, lambda _: None)
    return load_decoder(folder, CONFIG, exact, provider="cpu", n_threads=2)


DEFINITIONS = [
    PromptDefinition(f"{name}.py", f"def {name}():\n    return 1") for name in ("one", "two", "six")
]
CASES = [("a = 1\nb = o", "ne()", DEFINITIONS[:2]), ("a = 1\nb = one()\nreturn t", "wo()", DEFINITIONS[1:])]


def request(prefix: str, definitions: list[PromptDefinition]) -> PromptRequest:
    return PromptRequest("repo", "x.py", prefix, "\nz = 3\n", definitions, n_frame_characters=6)


def group_of_cases() -> Group:
    """The cases as a group, put together from their prompts."""
    prompts = [build_prompt(CODEC, request(prefix, found), BUDGET) for prefix, _, found in CASES]
    memories = list(dict.fromkeys(ids for prompt in prompts for ids in prompt.definitions))
    frames = list(dict.fromkeys(prompt.frame for prompt in prompts))
    branches = []
    for prompt, (_, target, _) in zip(prompts, CASES, strict=True):
        path = CODEC.encode(prompt.typed.decode() + target)
        chosen = tuple(memories.index(ids) for ids in prompt.definitions)
        ids = (*prompt.live, *path, CODEC.control.end_of_text)
        branches.append(
            Branch(frames.index(prompt.frame), chosen, ids, prompt.n_finished, len(prompt.live), 0)
        )
    return Group(prompts[0].sink, tuple(memories), tuple(frames), tuple(branches))


def test_a_group_shares_its_frame_and_its_memories() -> None:
    group = group_of_cases()
    assert (len(group.frames), len(group.memories)) == (1, 3)


def test_each_case_of_a_group_is_computed_as_the_decoder_computes_it_from_its_prompt(
    session: DecoderSession,
) -> None:
    group = group_of_cases()
    plan = make_plan(group, MEMORY_TOKENS)
    logits = network().logits(plan, None).detach().numpy()
    encoder = MemoryEncoder(session, "ab" * 32, max_tokens=200)
    for index, (prefix, target, found) in enumerate(CASES):
        prompt = build_prompt(CODEC, request(prefix, found), BUDGET)
        memories = [encoder.encode(prompt.sink, ids) for ids in reversed(prompt.definitions)]
        path = CODEC.encode(prompt.typed.decode() + target)
        parts = prompt.with_memories(memories, MEMORY_TOKENS)
        expected = prefill(DecodeState(session, 400), parts, path).rows
        found_rows = logits[plan.branch_of == index]
        np.testing.assert_allclose(found_rows, expected, atol=2e-4 * np.abs(expected).max())


def test_gradients_are_those_of_the_loss() -> None:
    plan = make_plan(group_of_cases(), MEMORY_TOKENS)
    adapter = {name: factor.detach().double().requires_grad_() for name, factor in trained_adapter().items()}
    exact = network(torch.float64)

    def loss() -> torch.Tensor:
        return torch.nn.functional.cross_entropy(exact.logits(plan, adapter), torch.from_numpy(plan.labels))

    loss().backward()
    generator = torch.Generator().manual_seed(2)
    for name, factor in adapter.items():
        direction = torch.randn(factor.shape, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            ends = []
            for step in (1e-5, -2e-5):
                factor.add_(direction, alpha=step)
                ends.append(float(loss()))
            factor.add_(direction, alpha=1e-5)
        expected = float((factor.grad * direction).sum())
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(expected, rel=1e-4, abs=1e-7), name


def test_a_new_adapter_changes_nothing() -> None:
    plan = make_plan(group_of_cases(), MEMORY_TOKENS)
    with torch.no_grad():
        plain, adapted = (network().logits(plan, one) for one in (None, new_adapter(CONFIG, 4, 0)))
    assert torch.equal(plain, adapted)


def test_an_exported_adapter_is_merged_as_it_was_trained(tmp_path: Path) -> None:
    adapter = {name: factor.detach().bfloat16().float() for name, factor in trained_adapter().items()}
    file = tmp_path / "mine.safetensors"
    export_adapter(file, adapter, RECIPE, {"base_sha256": "00", "name": "mine"})
    plan = make_plan(group_of_cases(), MEMORY_TOKENS)
    merged = Network(with_adapter(WEIGHTS, file), torch.float32, 1.0)
    with torch.no_grad():
        beside = network().logits(plan, adapter)
        torch.testing.assert_close(merged.logits(plan, None), beside, atol=1e-3, rtol=1e-4)
    manifest = json.loads(file.with_suffix(".json").read_text())
    assert (manifest["rank"], manifest["alpha"], manifest["base_sha256"]) == (4, 8, "00")


def test_an_adapter_is_read_as_it_was_written(tmp_path: Path) -> None:
    adapter = {name: factor.detach().bfloat16().float() for name, factor in trained_adapter().items()}
    file = tmp_path / "mine.safetensors"
    export_adapter(file, adapter, RECIPE, {"base_sha256": "00"})
    read = load_adapter(file, CONFIG, RECIPE)
    assert all(
        torch.equal(read[name], factor) and read[name].requires_grad for name, factor in adapter.items()
    )
    with pytest.raises(TrainingError, match="rank 4 and alpha 8"):
        load_adapter(file, CONFIG, Recipe(rank=4, alpha=9))


@pytest.fixture
def cases(tmp_path: Path) -> GroupFile:
    """Groups of few tokens that repeat themselves, so that there is something to learn."""
    random = np.random.default_rng(0)
    groups = []
    for _ in range(9):
        memory = tuple(random.integers(0, 99, 6).tolist())
        branch = Branch(0, (0,), (7, *memory[:3], *memory[3:]), 0, 4, int(random.integers(3)))
        groups.append(Group((1, 2), (memory,), ((3, 4),), (branch,)))
    write_groups(groups, tmp_path / "cases.npz")
    return GroupFile(tmp_path / "cases.npz")


def trainer(folder: Path, recipe: Recipe = RECIPE, **about: str) -> Trainer:
    folder.mkdir(exist_ok=True)
    return Trainer(folder, network(), recipe, {"base_sha256": "00", **about})


class KilledError(Exception):
    pass


def run(
    one: Trainer,
    cases: GroupFile,
    n_steps: int,
    *,
    stop_at: int | None = None,
    kill_at: int | None = None,
    interrupt_at: int | None = None,
) -> bool:
    """Train; be told to stop before a step, or die or be interrupted after one."""

    def on_step(report: StepReport) -> None:
        if report.step == kill_at:
            raise KilledError
        if report.step == interrupt_at:
            raise KeyboardInterrupt

    return one.train(
        lambda number: [cases] if number == 0 else [],
        n_steps,
        held_out=[cases[0]],
        measure_every=3,
        stop=lambda: one.step == stop_at,
        on_step=on_step,
    )


def state(one: Trainer) -> dict[str, torch.Tensor]:
    return {name: factor.detach().clone() for name, factor in one.adapter.items()}


def logged(folder: Path) -> list[dict]:
    rows = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def test_a_run_that_was_ended_goes_on_to_the_same_adapter_and_log(tmp_path: Path, cases: GroupFile) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    one = trainer(whole)
    assert run(one, cases, 12)
    for step in (0, 1, 3, 7, 11):
        assert not run(trainer(parts), cases, 12, stop_at=step)
    other = trainer(parts)
    assert run(other, cases, 12)
    assert all(map(torch.equal, state(one).values(), state(other).values()))
    assert logged(whole) == logged(parts)


def test_what_a_killed_run_did_after_its_checkpoint_is_done_again(tmp_path: Path, cases: GroupFile) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    one = trainer(whole)
    run(one, cases, 12)
    run(trainer(killed), cases, 12, stop_at=5)
    with pytest.raises(KilledError):
        run(trainer(killed), cases, 12, kill_at=8)
    other = trainer(killed)
    assert other.step == 5
    run(other, cases, 12)
    assert all(map(torch.equal, state(one).values(), state(other).values()))
    assert logged(whole) == logged(killed)


def test_an_interrupted_run_keeps_every_step_that_was_done(tmp_path: Path, cases: GroupFile) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    one = trainer(whole)
    run(one, cases, 9)
    for step in (2, 3, 5):
        with pytest.raises(KeyboardInterrupt) as interrupt:
            run(trainer(parts), cases, 9, interrupt_at=step)
        assert f"{step} of 9 steps are kept" in interrupt.value.__notes__[0]
        assert trainer(parts).step == step
    other = trainer(parts)
    run(other, cases, 9)
    assert all(map(torch.equal, state(one).values(), state(other).values()))
    assert logged(whole) == logged(parts)


def test_more_steps_go_on_from_where_the_learning_rate_began_to_fall(
    tmp_path: Path, cases: GroupFile
) -> None:
    straight, extended = tmp_path / "straight", tmp_path / "extended"
    one = trainer(straight)
    run(one, cases, 20)
    run(trainer(extended), cases, 10)
    other = trainer(extended)
    assert other.step == 10
    run(other, cases, 20)
    assert all(map(torch.equal, state(one).values(), state(other).values()))


def test_training_learns(tmp_path: Path, cases: GroupFile) -> None:
    one = trainer(tmp_path / "run", Recipe(rank=4, alpha=8, learning_rate=3e-3, warmup_steps=2, seed=5))
    run(one, cases, 30)
    figures = measurements(tmp_path / "run")
    (kind, *_) = figures[0]["held_out"]
    assert figures[0]["step"] == 0
    assert figures[-1]["held_out"][kind]["nats_per_token"] < figures[0]["held_out"][kind]["nats_per_token"]


@pytest.mark.parametrize(
    ("recipe", "about"),
    [(Recipe(rank=4, alpha=9), {}), (RECIPE, {"cases": "others"})],
    ids=["recipe", "cases"],
)
def test_a_run_does_not_go_on_as_another(
    tmp_path: Path, cases: GroupFile, recipe: Recipe, about: dict
) -> None:
    run(trainer(tmp_path / "run"), cases, 1)
    with pytest.raises(TrainingError, match="differs in"):
        trainer(tmp_path / "run", recipe, **about)
