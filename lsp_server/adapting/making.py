"""Makes the training cases of repositories, a file of groups each, so that it can be ended and gone on with.

Each repository is indexed in a folder of its own beside the cases, which is removed when its cases are made:
the index of an editor is not touched.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from indexer.catalogue_reader import CatalogueReader
from indexer.open_index import EmbedderSource, OpenIndex
from indexer.repository import IndexFolder
from lsp_server.adapting.groups import GroupMaker
from lsp_server.adapting.sites import draw_sites, survey
from lsp_server.config import Settings
from model.prompt import PromptDefinition
from model.training.sequences import Group, write_groups
from model.types import TokenCodec

__all__ = ["CaseMaker", "MakingProgress"]

_FORMAT = 1
_HELD_OUT = 16
"""One file of so many gives cases that are never trained on."""
_USELESS = 200
"""Definitions of a repository that are drawn to be given where they are of no use."""


@dataclass(frozen=True, slots=True)
class MakingProgress:
    """How far the making of cases is."""

    n_repositories: int
    n_done: int
    n_groups: int
    n_cases: int


class CaseMaker:
    """Makes cases in one folder, in rounds: each takes the next sites of every repository."""

    def __init__(  # noqa: PLR0913 - by keyword only
        self,
        folder: Path,
        roots: Sequence[Path],
        *,
        codec: TokenCodec,
        settings: Settings,
        embedders: EmbedderSource,
        sites: int,
        seed: int,
    ) -> None:
        """Make cases.

        Args:
            folder: What lies in it was made by an earlier run.
            roots: Folders of repositories.
            codec: The model's tokenizer.
            settings: Those that the adapter is trained for; without deadlines.
            embedders: Of the model that makes vectors.
            sites: How many each repository gives a round at most, so that a large one does not outweigh all.
            seed: Draws others.
        """
        self._folder = folder
        self._roots = roots
        self._codec = codec
        self._settings = settings
        self._embedders = embedders
        self._sites = sites
        self._seed = seed
        self._survey = survey(roots)
        retrieval = settings.retrieval
        parts = (_FORMAT, seed, sites, retrieval.definitions, retrieval.definition_tokens)
        key = json.dumps((*parts, self._survey.digest))
        self.key = hashlib.sha256(key.encode()).hexdigest()[:12]
        """Changes when other cases would be made."""

    def round(
        self, number: int, *, on_progress: Callable[[MakingProgress], None] = lambda _: None
    ) -> tuple[list[Path], list[Path]]:
        """Return a round's files, those to train on and the held-out ones, making what lacks.

        Args:
            number: From 0.
            on_progress: Called after each repository.
        """
        folder = self._folder / f"round-{number:03}-{self.key}"
        folder.mkdir(parents=True, exist_ok=True)
        training, held_out = [], []
        n_groups = n_cases = 0
        for index, root in enumerate(self._roots):
            stem = f"{index:04}-{root.name}"
            files = [folder / f"{stem}.{part}.npz" for part in ("train", "held-out")]
            note = folder / f"{stem}.json"
            if not note.exists():
                counts = self._make(root, number, files)
                note.write_text(json.dumps(counts), "utf-8")
            counts = json.loads(note.read_text("utf-8"))
            n_groups, n_cases = n_groups + counts["groups"], n_cases + counts["cases"]
            training.append(files[0])
            held_out.append(files[1])
            on_progress(MakingProgress(len(self._roots), index + 1, n_groups, n_cases))
        return training, held_out

    def _make(self, root: Path, number: int, files: Sequence[Path]) -> dict[str, int]:
        groups: tuple[list[Group], list[Group]] = ([], [])
        sites = draw_sites(root, seed=self._seed, without=self._survey.doubles[root])
        folder = IndexFolder.of(self._folder / "indexes", root)
        with OpenIndex(folder, self._embedders, None) as index:
            index.build(on_progress=lambda _: None, cancelled=lambda: False)
            index.open_vectors()
            useless = _drawn(folder, self._seed)
            maker = GroupMaker(self._codec, self._settings, index.retrieve, useless, seed=self._seed)
            for site in islice(sites, number * self._sites, (number + 1) * self._sites):
                group = maker.group(site)
                if group is not None:
                    groups[_is_held_out(root, site.path)].append(group)
        for some, file in zip(groups, files, strict=True):
            write_groups(some, file)
        shutil.rmtree(folder.folder, ignore_errors=True)
        every = [group for some in groups for group in some]
        return {"groups": len(every), "cases": sum(len(group.branches) for group in every)}


def _is_held_out(root: Path, path: str) -> bool:
    return hashlib.sha256(f"{root.name}/{path}".encode()).digest()[0] % _HELD_OUT == 0


def _drawn(folder: IndexFolder, seed: int) -> list[PromptDefinition]:
    """Return some definitions of a repository, always the same ones."""
    with CatalogueReader(folder.catalogue_file) as catalogue:
        every = [one for one in catalogue.recent(1_000_000) if one.role == "source"]
    every.sort(key=lambda one: hashlib.sha256(f"{seed} {one.id}".encode()).digest())
    return [PromptDefinition(one.path, one.text) for one in every[:_USELESS]]
