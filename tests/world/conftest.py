"""A thousand worlds take both cores for minutes: they begin with the session, in the time that other tests leave over."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

SEEDS = int(os.environ.get("TENDRIL_WORLDS", "1000"))
ROOT = Path(__file__).parents[2]
_STARTED = pytest.StashKey["subprocess.Popen[str]"]()


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Starts them, where a test of this session asks for them, and leaves none behind."""
    if session.config.option.collectonly or not any("worlds" in _fixtures(item) for item in session.items):
        return (yield)
    command = ("nice", "-n", "19", sys.executable, "-m", "sim.world", "--seed", "1", "--count", str(SEEDS))
    pipe, merged = subprocess.PIPE, subprocess.STDOUT
    # A group of its own, to be ended as one; no session, in which Linux may forget how nice it is to others.
    with subprocess.Popen(command, cwd=ROOT, process_group=0, stdout=pipe, stderr=merged, text=True) as process:
        session.stash[_STARTED] = process
        try:
            return (yield)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def worlds(request: pytest.FixtureRequest) -> "subprocess.Popen[str]":
    """The worlds of the first seeds, as a person would run them: it ends with 1 and a short script where one breaks."""
    return request.session.stash[_STARTED]


def _fixtures(item: pytest.Item) -> list[str]:
    return item.fixturenames if isinstance(item, pytest.Function) else []
