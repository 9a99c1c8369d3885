"""The command line as a test runs it, and kinds as the API tells of them."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from datamodel.model import Model
from datamodel.scheduling.model import MODEL
from gateway.commands.kinds import Kinds, kind_of
from gateway.rest.kinds import described

_MAIN = "from gateway.cli import main; main()"


def kinds(model: Model = MODEL) -> Kinds:
    return Kinds(tuple(kind_of(described(model, kind)) for kind in model.kinds.values()))


@dataclass(frozen=True, slots=True)
class Done:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


async def tendril(url: str, *arguments: str, stdin: str = "") -> Done:
    """Runs the command line as a process of its own, without a terminal."""
    async with running(url, *arguments) as process:
        async with asyncio.timeout(60):
            out, err = await process.communicate(stdin.encode())
        assert process.returncode is not None
        return Done(process.returncode, out.decode(), err.decode())


@asynccontextmanager
async def running(url: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command line while it runs; it is interrupted where it still does at the end."""
    environment = {**os.environ, "TENDRIL_URL": url, "NO_COLOR": "1", "COLUMNS": "120"}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _MAIN, *arguments, env=environment, stdin=pipe, stdout=pipe, stderr=pipe
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            await process.communicate()


async def lines(process: asyncio.subprocess.Process, count: int) -> list[str]:
    """The next lines that it prints."""
    assert process.stdout is not None
    async with asyncio.timeout(30):
        return [(await process.stdout.readline()).decode().rstrip("\n") for _ in range(count)]
