"""A machine on which `tendril up` runs: by its API, and by its processes, which may be harmed."""

import asyncio
import os
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM, Signals
from typing import Any

import httpx
import psutil

from datamodel.errors import NotFound, Transient
from datamodel.scheduling.jobs import FINISHED
from deploy.local import tether
from deploy.local.ports import free_port

ROOT = Path(__file__).parents[2]
SITE = "local"
READY_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 60.0
REPLACED_TIMEOUT_S = 30.0
AWAY_TIMEOUT_S = 30.0
_BINARIES = {"nats": "nats-server", "postgres": "postgres"}
_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Machine:
    """What runs. A program is named "postgres", "nats", "reconcilers", "gateway", or as its edge."""

    home: Path
    port: int
    edges: tuple[str, ...]
    process: subprocess.Popen[bytes]
    client: httpx.AsyncClient

    async def submit(self, document: Mapping[str, Any]) -> str:
        """The path of the accepted job. Raises `Transient` where it is not accepted."""
        answer = await self.ask("POST", "/v1/jobs", json=document)
        return str(_expected(answer, httpx.codes.ACCEPTED).headers["location"])

    async def job(self, location: str) -> dict[str, Any]:
        """The job's document. Raises `Transient` where there is none."""
        document: dict[str, Any] = _expected(await self.ask("GET", location), httpx.codes.OK).json()
        return document

    async def finished(self, location: str, *, timeout_s: float) -> dict[str, Any]:
        """The job once it has ended. Raises `Transient` where it has not after `timeout_s`."""
        job: dict[str, Any] = {}

        async def ended() -> bool:
            job.update(await self.job(location))
            return job["status"]["phase"] in FINISHED

        try:
            await until(ended, timeout_s=timeout_s)
        except TimeoutError:
            raise Transient(f"{location} is not finished after {timeout_s:g} s: {job.get('status')}") from None
        return job

    async def ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """One request; asked again while the gateway or what it needs is away. Raises `TimeoutError` where that lasts."""
        async with asyncio.timeout(AWAY_TIMEOUT_S):
            while True:
                try:
                    answer = await self.client.request(method, path, **arguments)
                except httpx.TransportError:
                    await asyncio.sleep(2 * _PAUSE_S)
                else:
                    if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                        return answer
                    await asyncio.sleep(2 * _PAUSE_S)

    def program(self, name: str) -> psutil.Process:
        """The program's process. Raises `NotFound` while it does not run."""
        found = self._running(name)
        if found is None:
            raise NotFound(f"{name} does not run")
        return found

    async def kill(self, name: str) -> None:
        """SIGKILL; returns when another process has taken its place."""
        victim = self.program(name)
        victim.send_signal(SIGKILL)
        await self.replaced(name, victim)

    async def replaced(self, name: str, former: psutil.Process) -> psutil.Process:
        """The process that has taken the place of a former one. Raises `Transient` where none does."""

        async def is_replaced() -> bool:
            return self._running(name) not in (None, former)

        try:
            await until(is_replaced, timeout_s=REPLACED_TIMEOUT_S)
        except TimeoutError:
            raise Transient(f"{name} was not started again within {REPLACED_TIMEOUT_S:g} s") from None
        return self.program(name)

    @asynccontextmanager
    async def without(self, name: str, end: Signals) -> AsyncIterator[None]:
        """The program is ended by a signal and stays gone until this is left; all others go on. Its supervisor sleeps
        meanwhile, and starts it again afterwards."""
        victim = self.program(name)
        self.process.send_signal(SIGSTOP)
        try:
            victim.send_signal(end)
            await until(lambda: _gone(victim), timeout_s=REPLACED_TIMEOUT_S)
            yield
        finally:
            self.process.send_signal(SIGCONT)
        await self.replaced(name, victim)

    def environment(self) -> dict[str, str]:
        """What `up` wrote for people who start a program by hand."""
        lines = (self.home / "run" / "environment").read_text().splitlines()
        words = [word for line in lines for word in shlex.split(line, comments=True) if "=" in word]
        return dict(word.split("=", 1) for word in words)

    async def stop(self) -> int:
        """SIGTERM, as a service manager would; the exit code."""
        self.process.send_signal(SIGTERM)
        return await asyncio.to_thread(self.process.wait, STOP_TIMEOUT_S)

    def _running(self, name: str) -> psutil.Process | None:
        for child in psutil.Process(self.process.pid).children():
            try:
                if _is(child, name):
                    return child
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return None


async def until(condition: Callable[[], Awaitable[bool]], *, timeout_s: float) -> None:
    """Returns once the condition holds. Raises `TimeoutError` where it does not within `timeout_s`."""
    async with asyncio.timeout(timeout_s):
        while not await condition():  # noqa: ASYNC110 - other processes set no event of ours
            await asyncio.sleep(_PAUSE_S)


@asynccontextmanager
async def machine(home: Path, *, edges: int, runtime: str, **environment: str) -> AsyncIterator[Machine]:
    """A running system, with its output in `up.log` beside its home; stopped afterwards if it still runs. Raises `Transient`
    where it does not become ready."""
    port = free_port()
    variables = {
        **os.environ,
        "TENDRIL_HOME": str(home),
        "TENDRIL_PORT": str(port),
        "TENDRIL_EDGES": str(edges),
        "EDGE_RUNTIME": runtime,
        **environment,
    }
    output = home.parent / "up.log"
    with output.open("ab") as log:
        # Tethered: it ends with us, however we end.
        tethered = (sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), str(int(SIGTERM)))
        process = subprocess.Popen(  # noqa: ASYNC220, S603 - starts at once, and is waited for in a thread
            (*tethered, sys.executable, "-m", "deploy.local"), cwd=ROOT, env=variables, stdout=log, stderr=log
        )
    names = tuple(f"edge-{number}" for number in range(1, edges + 1))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False) as client:
        try:
            await _until_ready(process, output)
            yield Machine(home, port, names, process, client)
        finally:
            if process.poll() is None:
                process.send_signal(SIGTERM)
                await asyncio.to_thread(process.wait, STOP_TIMEOUT_S)


async def _until_ready(process: subprocess.Popen[bytes], output: Path) -> None:
    async def ready() -> bool:
        text = await asyncio.to_thread(output.read_text)
        if process.poll() is not None:
            raise Transient(f"`up` has ended: {text}")
        return any(line.startswith("ready") for line in text.splitlines())

    try:
        await until(ready, timeout_s=READY_TIMEOUT_S)
    except TimeoutError:
        raise Transient(f"`up` is not ready after {READY_TIMEOUT_S:g} s: see {output}") from None


def _is(process: psutil.Process, name: str) -> bool:
    argv = process.cmdline()
    if binary := _BINARIES.get(name):
        return bool(argv) and Path(argv[0]).name == binary
    if argv[1:3] == ["-m", "agents"]:
        return process.environ().get("EDGE_NAME") == name
    return argv[1:3] == ["-m", name]


async def _gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _expected(answer: httpx.Response, status: int) -> httpx.Response:
    if answer.status_code != status:
        raise Transient(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:500]}")
    return answer
