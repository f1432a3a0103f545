"""A language client that costs little, so that what it times is the server.

Speaks JSON-RPC over a server's pipes and notes when each answer came in. Asks that are answered by nobody in
particular (`Pulse`) tell how long an event loop kept others waiting: they are sent on a schedule, whether or
not the last one was answered, so a loop that stands still delays all that fall into that time.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Answer", "Asked", "Client", "Echo", "Pulse", "Status"]

Status = dict[str, Any]
"""What `crosslight.status` tells."""

_MOST_BYTES = 2**26
_EVERY_S = 0.01
_NOTHING = "crosslight.didAcceptCompletion"
"""A command that does nothing without an argument: a round trip through the server's event loop."""
_ECHO = "import os\nwhile data := os.read(0, 65536):\n    os.write(1, data)"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request."""

    result: Any
    error: int | None
    at_s: float
    """When it was read, by the monotonic clock."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was sent."""

    id: int
    sent_s: float
    answer: asyncio.Future[Answer]

    async def ms(self) -> float:
        """Wait for the answer, and return how long it took."""
        return ((await self.answer).at_s - self.sent_s) * 1e3


class Client:
    """One editor window's end of a conversation."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self._to, self._from = process.stdin, process.stdout
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, command: Sequence[str], environment: Mapping[str, str]) -> Client:
        """Start a server; what it says on standard error is not read."""
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=nothing, env=environment, limit=_MOST_BYTES
        )
        return cls(process)

    async def initialize(self, root: Path, options: Mapping[str, Any]) -> None:
        """Begin, with one folder."""
        await self.ask(
            "initialize",
            {
                "processId": os.getpid(),
                "rootUri": None,
                "capabilities": {"textDocument": {"inlineCompletion": {}}},
                "workspaceFolders": [{"uri": root.as_uri(), "name": root.name}],
                "initializationOptions": dict(options),
            },
        )
        self.notify("initialized", {})

    def notify(self, method: str, params: object) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params})

    def request(self, method: str, params: object) -> Asked:
        """Send a request now."""
        id_ = next(self._ids)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[id_] = future
        asked = Asked(id_, time.monotonic(), future)
        self._send({"id": id_, "method": method, "params": params})
        return asked

    def cancel(self, asked: Asked) -> None:
        """Give a request up."""
        self.notify("$/cancelRequest", {"id": asked.id})

    async def ask(self, method: str, params: object) -> Any:  # noqa: ANN401 - whatever a method returns
        """Send a request, and return its result.

        Raises:
            RuntimeError: It was answered by an error.
        """
        answer = await self.request(method, params).answer
        if answer.error is not None:
            raise RuntimeError(f"{method}: error {answer.error}")
        return answer.result

    async def status(self) -> Status:
        """Return what `crosslight.status` tells."""
        status: Status = await self.ask("workspace/executeCommand", _command("crosslight.status"))
        return status

    async def until(self, condition: Callable[[Status], bool]) -> Status:
        """Wait until the server is in a state, and return its status."""
        while not condition(status := await self.status()):  # noqa: ASYNC110 - another process's
            await asyncio.sleep(0.1)
        return status

    async def until_ready(self) -> Status:
        """Wait until model and index are there, and return the status."""
        return await self.until(
            lambda status: (
                {status["model"]["kind"], *(one["kind"] for one in status["repositories"])} == {"ready"}
            )
        )

    async def end(self) -> None:
        """Say goodbye, and wait until the server has gone."""
        await self.ask("shutdown", None)
        self.notify("exit", None)
        await self.process.wait()
        await self._reading

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._to.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    async def _read(self) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):  # the server has gone
            while True:
                header = await self._from.readuntil(b"\r\n\r\n")
                length = int(header.split(b"Content-Length: ")[1].split(b"\r\n")[0])
                self._take(json.loads(await self._from.readexactly(length)))

    def _take(self, message: dict[str, Any]) -> None:
        if "method" not in message:
            error = message.get("error", {}).get("code")
            answer = Answer(message.get("result"), error, time.monotonic())
            self._waiting.pop(message["id"]).set_result(answer)
        elif "id" in message:
            self._send({"id": message["id"], "result": None})


class Echo:
    """A process that sends back what it gets: what a round trip takes on this machine, whoever is asked."""

    def __init__(self, process: asyncio.subprocess.Process, delays_ms: list[float]) -> None:
        self._process = process
        self._delays_ms = delays_ms
        self._sent: deque[float] = deque()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, delays_ms: list[float]) -> Echo:
        """Start the process."""
        pipe = asyncio.subprocess.PIPE
        command = [sys.executable, "-ISc", _ECHO]
        return cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe), delays_ms)

    def ping(self) -> None:
        """Send a byte."""
        assert self._process.stdin is not None
        self._sent.append(time.monotonic())
        self._process.stdin.write(b".")

    async def end(self) -> None:
        """Wait for what is under way, and end the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._reading
        await self._process.wait()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while data := await self._process.stdout.read(1024):
            now = time.monotonic()
            self._delays_ms += [(now - self._sent.popleft()) * 1e3 for _ in data]


@dataclass(slots=True)
class Pulse:
    """Round trips on a schedule: through a server's event loop, and through a process that does nothing."""

    loop_ms: list[float] = field(default_factory=list)
    machine_ms: list[float] = field(default_factory=list)
    """The same instants; what these take, the system and this client's own loop account for."""
    slowest: list[tuple[float, float]] = field(default_factory=list)
    """Of each time it beat the slowest round trip through the loop: after how many seconds, ms."""

    @contextlib.asynccontextmanager
    async def beating(self, client: Client) -> AsyncIterator[None]:
        """Send all the while inside of the block."""
        machine_ms: list[float] = []
        echo = await Echo.start(machine_ms)
        asked: list[Asked] = []
        beating = asyncio.create_task(_beat(client, echo, asked.append))
        try:
            yield
        finally:
            beating.cancel()
            took_ms = [await one.ms() for one in asked]
            slowest = max(range(len(asked)), key=took_ms.__getitem__)
            self.slowest.append((asked[slowest].sent_s - asked[0].sent_s, took_ms[slowest]))
            self.loop_ms += took_ms
            await echo.end()
            self.machine_ms += machine_ms

    def excess_ms(self) -> Iterator[float]:
        """Yield by how much the loop's round trips exceeded those of the same instant through the machine."""
        for loop, machine in zip(self.loop_ms, self.machine_ms, strict=True):
            yield max(0.0, loop - machine)


async def _beat(client: Client, echo: Echo, note: Callable[[Asked], None]) -> None:
    due = time.monotonic()
    while True:
        echo.ping()
        note(client.request("workspace/executeCommand", _command(_NOTHING)))
        due = max(due + _EVERY_S, time.monotonic())  # what this client itself missed is not made up for
        await asyncio.sleep(due - time.monotonic())


def _command(name: str) -> dict[str, Any]:
    return {"command": name, "arguments": []}
