"""A machine on which `tendril up` runs, and what a test may do to it."""

import asyncio
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).parents[2]
READY_TIMEOUT_S = 90.0


@dataclass
class Machine:
    """What runs, by the API and by its processes. `programs` are named by the module or binary that they run."""

    home: Path
    port: int
    process: subprocess.Popen[bytes]
    client: httpx.AsyncClient

    async def submit(self, document: Mapping[str, Any]) -> str:
        """The path of the accepted job."""
        answer = await self.ask("POST", "/v1/jobs", json=document)
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        return answer.headers["location"]

    async def job(self, location: str) -> dict[str, Any]:
        answer = await self.ask("GET", location)
        assert answer.status_code == httpx.codes.OK, answer.text
        job: dict[str, Any] = answer.json()
        return job

    async def finished(self, location: str, *, timeout_s: float) -> dict[str, Any]:
        """The job once it has ended."""
        job: dict[str, Any] = {}

        async def ended() -> bool:
            job.update(await self.job(location))
            return job["status"]["phase"] in ("succeeded", "failed", "aborted")

        try:
            await until(ended, timeout_s=timeout_s)
        except TimeoutError:
            raise AssertionError(f"not finished after {timeout_s} s: {job.get('status')}") from None
        return job

    async def ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """One request; asked again for half a minute while the gateway or what it needs is away."""
        async with asyncio.timeout(30):
            while True:
                try:
                    answer = await self.client.request(method, path, **arguments)
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
                else:
                    if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                        return answer
                    await asyncio.sleep(0.1)

    def program(self, *words: str) -> psutil.Process | None:
        """The running child whose command line has all these words, and whose environment names no other edge."""
        for child in psutil.Process(self.process.pid).children():
            try:
                line = [*child.cmdline(), f"EDGE_NAME={child.environ().get('EDGE_NAME', '')}"]
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            if all(any(word in part for part in line) for word in words):
                return child
        return None

    async def kill(self, *words: str) -> None:
        """SIGKILL for one program; returns when another process has taken its place."""
        victim = self.program(*words)
        assert victim is not None, f"nothing runs that is called {words}"
        victim.send_signal(signal.SIGKILL)

        async def replaced() -> bool:
            found = self.program(*words)
            return found is not None and found.pid != victim.pid

        await until(replaced, timeout_s=30)

    def environment(self) -> dict[str, str]:
        """What `up` wrote for people who start a program by hand."""
        lines = (self.home / "run" / "environment").read_text().splitlines()
        words = [word for line in lines for word in shlex.split(line, comments=True) if "=" in word]
        return dict(word.split("=", 1) for word in words)

    async def stop(self) -> int:
        """SIGTERM, as a service manager would; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, 60)


async def until(condition: Callable[[], Awaitable[bool]], *, timeout_s: float) -> None:
    async with asyncio.timeout(timeout_s):
        while not await condition():  # noqa: ASYNC110 - other processes set no event of ours
            await asyncio.sleep(0.05)


@asynccontextmanager
async def machine(home: Path, *, edges: int, runtime: str, **environment: str) -> AsyncIterator[Machine]:
    """A running system; killed and cleaned up afterwards if the test has not stopped it."""
    port = _free_port()
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
        process = subprocess.Popen(  # noqa: ASYNC220 - starts at once, and is waited for in a thread
            [sys.executable, "-m", "deploy.local"], cwd=ROOT, env=variables, stdout=log, stderr=log
        )
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False) as client:
        try:
            await until(_ready(process, output), timeout_s=READY_TIMEOUT_S)
            yield Machine(home, port, process, client)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                await asyncio.to_thread(process.wait, 60)


def _ready(process: subprocess.Popen[bytes], output: Path) -> Callable[[], Awaitable[bool]]:
    async def ready() -> bool:
        text = await asyncio.to_thread(output.read_text)
        assert process.poll() is None, text
        return any(line.startswith("ready") for line in text.splitlines())

    return ready


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
