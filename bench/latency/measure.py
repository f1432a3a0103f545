"""One run of the bench, from nothing to its results: what is measured, in which order, with what.

Editing sessions come first and with the settings that users have, since the peak of memory is theirs. What
follows has more room for definitions (`wide.py`).
"""

from __future__ import annotations

import gc
import subprocess
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from latency.changes import longest_line
from latency.contenders import Contender, OpenedFile, Request, handing_out
from latency.machine import measure_apart
from latency.ours import OursWithMemories
from latency.peers import LlamaCpp, predictor_is_faster
from latency.replay import replay
from latency.report import Results
from latency.resources import PeakMemory
from latency.session import Moment, Session, moments, write_sessions
from latency.sources import packages, where
from latency.typist import draw_sessions
from latency.wide import Wide
from latency.workspace import Workspace, Workspaces
from peer.llama import LlamaPeer, PeerError, PeerOptions, start_peer
from rich.console import Console

from indexer.types import RelatedQuery, Retrieved
from lsp_server import assemble
from lsp_server.completer import Retrieve, RunningModel
from lsp_server.config import Settings
from lsp_server.feeding import prompt_budget
from lsp_server.paths import Folders
from lsp_server.warmer import MOST_RELATED
from model.errors import ModelError
from model.processor import n_usable_cores

__all__ = ["FULL", "QUICK", "Bench", "Plan"]

_PEER_CONTEXT_TOKENS = 12_288
_N_TRIAL_REQUESTS = 6
"""By which it is decided whether the peer drafts."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    n_sessions: int
    most_requests: int
    """Of a session; the rest of it is not replayed."""
    sizes: tuple[int, ...]
    """Tokens of definitions, in the order in which they are changed to."""
    prefill_tokens: int
    decode_tokens: int
    n_tries: int
    """Of prefill and decode; of a step ten times as many."""


FULL = Plan(4, 20, (0, 500, 1000, 2000, 2000, 4000, 8000), 1024, 32, 3)
QUICK = Plan(1, 6, (0, 2000), 512, 12, 1)


class Bench:
    """One run."""

    def __init__(self, plan: Plan, folders: Folders, cache: Path, seed: int, scratch: Path) -> None:
        """Measure nothing yet.

        Args:
            plan: How much to measure.
            folders: The user's; nothing but the installed model is read there, and nothing written.
            cache: The benches' folder in the user's cache.
            seed: Of sessions and definitions.
            scratch: Everything else is written here.
        """
        self._plan = plan
        self._folders = replace(folders, index=scratch / "index")
        self._cache = cache
        self._seed = seed
        self._scratch = scratch
        self._console = Console(stderr=True)
        self._memory = PeakMemory()
        self._started = time.monotonic()
        about = where() | {"seed": seed, "threads": n_usable_cores()}
        self._results = Results(about, OursWithMemories.name, LlamaCpp.name)

    def run(self) -> Results:
        """Measure everything."""
        self._measure_machine()
        sessions, sources = self._sessions()
        with ExitStack() as stack:
            peer = self._start_peer(stack)
            workspaces = stack.enter_context(Workspaces(sources, self._scratch))
            made = {session.package: self._index(session, workspaces) for session in sessions}
            with closing(self._start_model()) as model:
                if peer is not None:
                    self._choose_predictor(peer, model, sessions[0])
                for session in sessions:
                    self._replay(session, made[session.package], model, peer)
            self._results.peak_pss_mb = self._memory.mb
            self._results.pss_mb_by_phase = self._memory.mb_by_phase
            del model
            gc.collect()
            session = max(sessions, key=lambda one: len(longest_line(one)))
            definitions = workspaces.definitions(made[session.package], session)
            wide = Wide(self._folders, self._scratch, peer, say=self._say)
            line = [_request(session, moment, handing_out(()), ()) for moment in longest_line(session)]
            file = OpenedFile(session.package, session.path, lambda: ())
            changes = wide.measure_changes(file, line, definitions, self._plan.sizes, self._seed)
            self._results.changes += changes
            self._say("both engines")
            plan = self._plan
            self._results.engines = wide.measure_engines(
                session.final, plan.prefill_tokens, plan.decode_tokens, plan.n_tries
            )
        return self._results

    def _measure_machine(self) -> None:
        self._say("the machine's own limits")
        try:
            self._results.limits = measure_apart(n_usable_cores())
        except subprocess.CalledProcessError as error:
            self._results.notes.append(f"The machine's limits are not known: {error}.")

    def _sessions(self) -> tuple[list[Session], Path]:
        """The sessions of the run, one a package, and the folder that the packages lie in."""
        self._say("packages and sessions")
        roots = list(islice(packages(self._cache), self._plan.n_sessions))
        sessions = [session for root in roots for session in draw_sessions(root, 1, self._seed)]
        write_sessions(sessions, self._cache / "latency" / f"sessions-{self._seed}.jsonl")
        return sessions, roots[0].parent

    def _start_peer(self, stack: ExitStack) -> LlamaPeer | None:
        """The peer, fetched if need be; None, and a note that says why, where it cannot be had."""
        self._say("the peer")
        try:
            options = PeerOptions(n_threads=n_usable_cores(), context_tokens=_PEER_CONTEXT_TOKENS)
            peer = stack.enter_context(start_peer(self._cache, options))
        except (PeerError, ModelError) as error:
            self._results.notes.append(f"Without the peer, ratios to it are null: {error}.")
            return None
        self._memory.leave_out(peer.loaded.pid)
        return peer

    def _index(self, session: Session, workspaces: Workspaces) -> Workspace:
        self._say(f"indexing {session.package}")
        with self._memory.watching("indexing"):
            workspace = workspaces.make(session)
        self._results.indexing.append(workspace.index)
        return workspace

    def _start_model(self) -> RunningModel:
        self._say("our model")
        with self._memory.watching("loading"):
            started = time.perf_counter()
            model = assemble.start_model(self._folders, Settings(), self._results.notes.append)
            self._results.model_load_s = time.perf_counter() - started
        return model

    def _choose_predictor(self, peer: LlamaPeer, model: RunningModel, session: Session) -> None:
        self._say("whether the peer is to draft")
        requests = [_request(session, moment, handing_out(()), ()) for moment in moments(session)]
        contender = LlamaCpp(peer, model.codec, prompt_budget(Settings()))
        is_faster = predictor_is_faster(contender, peer, requests[-_N_TRIAL_REQUESTS:])
        peer.reset(predictor=is_faster)
        self._results.about["peer_drafts"] = is_faster

    def _replay(
        self, session: Session, workspace: Workspace, model: RunningModel, peer: LlamaPeer | None
    ) -> None:
        self._say(f"{session.package}, {session.path}: {session.name}")
        held = workspace.held(session, next(moments(session)), Settings().retrieval.definitions)
        initial = RelatedQuery(session.path, MOST_RELATED, prefix=session.initial)
        file = OpenedFile(session.package, session.path, lambda: workspace.related(initial))
        assert model.bank is not None
        with closing(OursWithMemories(model, model.bank, Settings())) as ours:
            contenders: list[Contender] = [ours]
            if peer is not None:
                contenders.append(LlamaCpp(peer, model.codec, prompt_budget(Settings())))
            samples = replay(
                session,
                file,
                contenders,
                lambda moment: _request(session, moment, workspace.retrieve, held),
                after_request=lambda: self._memory.look("editing"),
            )
            self._results.samples += islice(samples, self._plan.most_requests)
        if peer is not None:
            self._results.peer_pss_mb = max(self._results.peer_pss_mb or 0.0, peer.pss_bytes() / 2**20)

    def _say(self, what: str) -> None:
        self._console.print(
            f"{time.monotonic() - self._started:6.0f} s  {what}", highlight=False, style="dim"
        )


def _request(session: Session, moment: Moment, retrieve: Retrieve, held: tuple[Retrieved, ...]) -> Request:
    return Request(
        repo_name=session.package,
        path=session.path,
        language=session.language,
        prefix=moment.prefix,
        suffix=moment.suffix,
        retrieve=retrieve,
        held=held,
        encode_ms=float(Settings().memory.encode_ms),
    )
