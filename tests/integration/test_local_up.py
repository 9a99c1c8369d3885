"""`tendril up` with small stand-ins for Tendril's programs: the order, the addresses, and that nothing is left."""

import asyncio
import os
import shlex
import socket
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM

import asyncpg
import psutil
import pytest
import pytest_asyncio

from tests.waiting import until

REPOSITORY = Path(__file__).parents[2]

MIGRATIONS = "print('migrated')"

# Notes in a common file that it stops.
PROGRAM = """
import os, pathlib, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
signal.sigwait({signal.SIGTERM})
with open(pathlib.Path(os.environ["TENDRIL_HOME"]) / "ends", "a") as ends:
    ends.write(os.environ.get("EDGE_NAME", pathlib.Path(sys.argv[0]).parent.name) + " ")
"""

GATEWAY = """
import http.server, json, os, threading

class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = {"items": [{"metadata": {"name": f"edge-{n}"}, "status": {"phase": "online"}} for n in (1, 2)]}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["TENDRIL_PORT"])), Answers)
threading.Thread(target=server.serve_forever, daemon=True).start()
"""

Up = Callable[..., Awaitable[Process]]


@pytest.fixture
def stand_ins(tmp_path: Path) -> Path:
    programs = {"migrations": MIGRATIONS, "reconcilers": PROGRAM, "gateway": GATEWAY + PROGRAM, "agents": PROGRAM}
    for name, code in programs.items():
        package = tmp_path / "programs" / name
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(code)
    (tmp_path / "programs" / "gateway" / "enrolling.py").touch()
    return tmp_path / "programs"


@pytest_asyncio.fixture
async def up(tmp_path: Path, stand_ins: Path) -> AsyncIterator[Up]:
    """Starts it with some variables of its environment replaced."""
    started: list[Process] = []

    async def start(**variables: str) -> Process:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        environment = os.environ | {
            "PYTHONPATH": f"{stand_ins}{os.pathsep}{REPOSITORY}",
            "TENDRIL_HOME": str(tmp_path / "home"),
            "TENDRIL_PORT": port,
            "TENDRIL_EDGES": "2",
        }
        argv = (sys.executable, "-m", "deploy.local")
        process = await asyncio.create_subprocess_exec(
            *argv, cwd=stand_ins, env=environment | variables, stdout=PIPE, stderr=STDOUT
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def printed(process: Process, beginning: str) -> str:
    """What the process printed up to the line with this beginning."""
    assert process.stdout is not None
    text = ""
    async with asyncio.timeout(60):
        while line := (await process.stdout.readline()).decode():
            text += line
            if line.startswith(beginning):
                return text
    raise AssertionError(f"ended without a line {beginning!r}:\n{text}")


def family(process: Process) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.parametrize("signal", [SIGINT, SIGTERM])
async def test_it_comes_up_and_a_signal_ends_everything_in_order(up: Up, tmp_path: Path, signal: int) -> None:
    process = await up()
    text = await printed(process, "ready")
    assert "/v1/jobs" in text
    variables = dict(
        word.split("=", 1)
        for line in (tmp_path / "home" / "run" / "environment").read_text().splitlines()
        if line.startswith("export ")
        for word in shlex.split(line)[1:]
    )
    connection = await asyncpg.connect(variables["TENDRIL_DATABASE_URL"])
    await connection.close()
    assert variables["TENDRIL_DATABASE_URL"] not in text
    members = family(process)

    process.send_signal(signal)
    await printed(process, "stopping")
    process.send_signal(signal)
    assert await process.wait() == 0
    assert not any(member.is_running() for member in members)
    ends = (tmp_path / "home" / "ends").read_text().split()
    assert {*ends[:2]} == {"edge-1", "edge-2"}
    assert ends[2:] == ["gateway", "reconcilers"]


async def test_a_signal_while_it_starts_ends_what_was_started(up: Up) -> None:
    process = await up()
    await printed(process, "starting")
    await until(lambda: bool(family(process)))
    members = family(process)
    process.send_signal(SIGTERM)
    assert await process.wait() == 0
    assert not any(member.is_running() for member in members)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals the children of a process that dies")
async def test_nothing_is_left_when_it_is_killed_and_it_comes_up_again(up: Up) -> None:
    process = await up()
    await printed(process, "ready")
    members = family(process)
    assert len(members) > 6
    process.send_signal(SIGKILL)
    again = await up()
    await printed(again, "ready")
    await until(lambda: not any(member.is_running() for member in members))


async def test_a_second_one_in_the_same_home_says_so(up: Up) -> None:
    first = await up()
    await printed(first, "starting")
    second = await up()
    output, _ = await second.communicate()
    assert second.returncode == 1
    assert "is already up in" in output.decode()
    assert f"process {first.pid}" in output.decode()


async def test_a_taken_port_and_a_failed_migration_are_named(up: Up, stand_ins: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = await up(TENDRIL_PORT=str(port))
        output, _ = await process.communicate()
    assert process.returncode == 1
    assert f"port {port} of 127.0.0.1 is taken" in output.decode()

    (stand_ins / "migrations" / "__main__.py").write_text("raise SystemExit('column is missing')")
    process = await up()
    output, _ = await process.communicate()
    assert process.returncode == 1
    assert "migrations exited with 1" in output.decode()
    assert "column is missing" in output.decode()
