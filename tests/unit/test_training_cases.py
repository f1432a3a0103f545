"""Training groups: kept as they are, laid out as the decoder's buffer, fed in one order."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import TrainingError
from model.training.feed import Position, groups_from
from model.training.plan import Plan, make_plan
from model.training.recipe import Recipe
from model.training.sequences import CROSS_FILE, KINDS, Branch, Group, GroupFile, write_groups
from model.training.thinning import thinned

MEMORY_TOKENS = 10
GROUP = Group(
    sink=(1, 2, 3),
    memories=((10, 11), (20, 21, 22)),
    frames=((30, 31, 32, 33), (40, 41)),
    branches=(
        Branch(frame=0, memories=(1,), ids=(50, 51, 52, 53), n_finished=0, n_given=2, kind=0),
        Branch(frame=1, memories=(), ids=(60, 61, 62), n_finished=0, n_given=1, kind=2),
    ),
)


@st.composite
def groups(draw: st.DrawFn) -> Group:
    ids = st.lists(st.integers(0, 200_000), min_size=1, max_size=6).map(tuple)
    memories = tuple(draw(st.lists(ids, max_size=4)))
    frames = tuple(draw(st.lists(ids, min_size=1, max_size=3)))
    branches = []
    for _ in range(draw(st.integers(1, 3))):
        chosen = draw(st.permutations(range(len(memories))).map(lambda order: tuple(order[:2])))
        text = (*draw(ids), 7)
        n_given = draw(st.integers(1, len(text) - 1))
        branches.append(
            Branch(
                draw(st.integers(0, len(frames) - 1)),
                chosen,
                text,
                draw(st.integers(0, n_given - 1)),
                n_given,
                draw(st.integers(0, 2)),
            )
        )
    return Group(draw(ids), memories, frames, tuple(branches))


@given(st.lists(groups(), max_size=4))
def test_groups_come_back_as_they_were_written(tmp_path_factory: pytest.TempPathFactory, some) -> None:
    path = tmp_path_factory.mktemp("groups") / "cases.npz"
    write_groups(some, path)
    file = GroupFile(path)
    assert [file[index] for index in range(len(file))] == some


def test_a_file_that_holds_no_groups_is_told(tmp_path: Path) -> None:
    path = tmp_path / "cases.npz"
    path.write_bytes(b"no archive")
    with pytest.raises(TrainingError, match="cannot be read"):
        GroupFile(path)


Seen = Counter[tuple[int, int]]
"""Ids with their positions."""


def visible(plan: Plan) -> list[Seen]:
    """For each token of a plan, what it attends to."""
    ends = np.cumsum([segment.n_tokens for segment in plan.segments]).tolist()
    placed = list(zip(plan.token_ids.tolist(), plan.positions.tolist(), strict=True))
    parts = [placed[end - one.n_tokens : end] for one, end in zip(plan.segments, ends, strict=True)]
    return [
        Counter(
            [*(token for other, n in segment.sees for token in parts[other][:n]), *parts[index][: at + 1]]
        )
        for index, segment in enumerate(plan.segments)
        for at in range(segment.n_tokens)
    ]


def ids_seen(plan: Plan) -> dict[int, set[int]]:
    """For each token of a plan of distinct ids, the ids that it attends to."""
    seen = ({token for token, _ in one} for one in visible(plan))
    return dict(zip(plan.token_ids.tolist(), seen, strict=True))


def test_memories_and_frames_see_the_sink_and_themselves_alone() -> None:
    plan = make_plan(GROUP, MEMORY_TOKENS)
    seen = ids_seen(plan)
    assert seen[11] == {1, 2, 3, 10, 11}
    assert seen[22] == {1, 2, 3, 20, 21, 22}
    assert seen[33] == {1, 2, 3, 30, 31, 32, 33}
    assert seen[41] == {1, 2, 3, 40, 41}


def test_a_branch_sees_its_own_frame_and_memories_and_no_other_branch() -> None:
    plan = make_plan(GROUP, MEMORY_TOKENS)
    seen = ids_seen(plan)
    assert seen[51] == {1, 2, 3, 30, 31, 32, 33, 20, 21, 22, 50, 51}
    assert seen[61] == {1, 2, 3, 40, 41, 60, 61}


@given(st.data())
def test_sharing_changes_nothing_of_what_a_case_sees(data: st.DataObject) -> None:
    """However much cursors have in common, each sees what it would see alone, at the same positions."""
    text = tuple(data.draw(st.lists(st.integers(0, 3), min_size=40, max_size=60)))
    frames, branches = [], []
    for index in range(data.draw(st.integers(1, 5))):
        n_frame, n_finished = data.draw(st.integers(1, 38)), data.draw(st.integers(0, 20))
        frame = (*text[:n_frame], *data.draw(st.lists(st.integers(0, 3), max_size=3)))
        finished = text[n_frame : n_frame + n_finished]
        frames.append(frame)
        ids = (*finished, 7, 8, 9)
        branches.append(Branch(index, (index % 2,), ids, len(finished), len(finished) + 1, 0))
    group = Group((5, 6), ((10, 11), (12,)), tuple(frames), tuple(branches))
    plan = make_plan(group, MEMORY_TOKENS)
    seen = visible(plan)
    for index, branch in enumerate(branches):
        alone: list[tuple[int, int]] = [(5, 0), (6, 1)]
        alone += [(token, 2 + at) for at, token in enumerate(group.memories[index % 2])]
        line = (*frames[index], *branch.ids)
        alone += [(token, 2 + MEMORY_TOKENS + at) for at, token in enumerate(line[:-1])]
        (first, second) = plan.rows[plan.branch_of == index].tolist()
        assert seen[second] == Counter(alone)
        assert seen[first] == Counter(alone[:-1])


def test_memories_share_their_positions_and_what_follows_does_not_depend_on_them() -> None:
    plan = make_plan(GROUP, MEMORY_TOKENS)
    at = dict(zip(plan.token_ids.tolist(), plan.positions.tolist(), strict=True))
    assert (at[10], at[20]) == (3, 3)
    assert (at[30], at[40]) == (3 + MEMORY_TOKENS, 3 + MEMORY_TOKENS)
    assert (at[50], at[60]) == (3 + MEMORY_TOKENS + 4, 3 + MEMORY_TOKENS + 2)


def test_what_is_given_is_not_scored_and_the_last_token_is_only_predicted() -> None:
    plan = make_plan(GROUP, MEMORY_TOKENS)
    assert plan.labels.tolist() == [52, 53, 61, 62]
    assert plan.token_ids[plan.rows].tolist() == [51, 52, 60, 61]
    assert plan.branch_of.tolist() == [0, 0, 1, 1]
    assert 53 not in plan.token_ids


def numbered(path: Path, sink: int, n: int) -> GroupFile:
    """A file of groups that can be told apart."""
    one = Branch(0, (), (5, 6), 0, 1, 0)
    write_groups([Group((sink, index), (), ((4,),), (one,)) for index in range(n)], path)
    return GroupFile(path)


def test_the_order_is_the_same_from_any_position(tmp_path: Path) -> None:
    rounds = [
        [numbered(tmp_path / "a", 1, 3), numbered(tmp_path / "b", 2, 2)],
        [numbered(tmp_path / "c", 3, 4)],
    ]

    def read(number: int) -> list[GroupFile]:
        return rounds[number] if number < len(rounds) else []

    feed = groups_from(Position(), read, seed=3)
    whole = [next(feed) for _ in range(20)]
    for n_done, (_, position) in enumerate(whole[:-1], start=1):
        rest = groups_from(position, read, seed=3)
        assert [next(rest) for _ in range(20 - n_done)] == whole[n_done:]
    sinks = [group.sink for group, _ in whole]
    assert len(set(sinks[:9])) == 9  # each once before any comes again
    assert sinks[9:18] != sinks[:9]


def test_groups_without_a_cross_file_case_are_taken_now_and_then_and_others_always(tmp_path: Path) -> None:
    cases = [Branch(0, (), (5, 6), 0, 1, kind) for kind in (KINDS.index("line"), CROSS_FILE)]
    groups = [Group((index,), (), ((4,),), (cases[index % 2],)) for index in range(400)]
    write_groups(groups, tmp_path / "a")
    file = GroupFile(tmp_path / "a")
    rounds: list[list[GroupFile]] = [[file], []]
    feed = groups_from(Position(), lambda number: rounds[number], 3, without_cross_file=0.25)
    first = list(itertools.takewhile(lambda one: one[1].turn == 0, feed))
    taken = [group.sink[0] % 2 for group, _ in first]
    assert taken.count(1) == 200
    assert 30 < taken.count(0) < 70
    position = first[100][1]
    rest = groups_from(position, lambda number: rounds[number], 3, without_cross_file=0.25)
    assert next(rest) == first[101]


def test_repositories_without_code_are_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no code"):
        next(groups_from(Position(), lambda _: [numbered(tmp_path / "a", 1, 0)], seed=0))


def test_the_learning_rate_rises_stays_and_falls() -> None:
    recipe = Recipe(learning_rate=1.0, warmup_steps=4, decay_share=0.2)
    rates = [recipe.learning_rate_at(step, 20) for step in range(20)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4:16] == [1.0] * 12
    assert rates[16:] == pytest.approx([0.8, 0.6, 0.4, 0.2])


def test_a_later_end_changes_no_step_before_the_fall() -> None:
    recipe = Recipe(warmup_steps=4)
    short, long = ([recipe.learning_rate_at(step, n) for step in range(n)] for n in (50, 100))
    assert short[: recipe.first_decay_step(50)] == long[: recipe.first_decay_step(50)]


def test_a_thinned_group_keeps_what_its_cases_need_and_what_they_were_given() -> None:
    memories = tuple((1, 2, 100 + index) for index in range(9))
    cases = (
        Branch(0, (0, 3, 5, 8), (50, 51, 2, 105, 9), 0, 2, CROSS_FILE),
        Branch(0, (1, 3, 4), (50, 51, 104), 0, 2, CROSS_FILE),
        Branch(0, (), (50, 51, 52), 0, 2, CROSS_FILE),
    )
    lines = [Branch(0, (6, 7), (50, 51, 1, 106, 107), 0, 2, KINDS.index("line"))] * 3
    group = Group((7,), memories, ((4,),), (*lines, *cases))
    for seed in range(20):
        thin = thinned(group, 4, np.random.default_rng(seed))
        assert len(thin.memories) == 4
        assert {memories[5], memories[4]} <= {*thin.memories}
        for before, after in zip(group.branches, thin.branches, strict=True):
            found = [thin.memories[index] for index in after.memories]
            assert found == [memories[index] for index in before.memories if memories[index] in thin.memories]
            assert replace(after, memories=()) == replace(before, memories=())
    assert thinned(group, 9, np.random.default_rng(0)) is group
