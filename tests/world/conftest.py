"""A thousand worlds, run by a program of their own, as a person would run them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SEEDS = int(os.environ.get("TENDRIL_WORLDS", "1000"))
ROOT = Path(__file__).parents[2]


@pytest.fixture
def worlds() -> Iterator["subprocess.Popen[str]"]:
    """The worlds of the first seeds: it ends with 1 and a short script where one breaks. They take what time others leave."""
    command = ("nice", "-n", "19", sys.executable, "-m", "sim.world", "--seed", "1", "--count", str(SEEDS))
    pipe, merged = subprocess.PIPE, subprocess.STDOUT
    # A group of its own, to be ended as one; no session, in which Linux may forget how nice it is to others.
    with subprocess.Popen(command, cwd=ROOT, process_group=0, stdout=pipe, stderr=merged, text=True) as process:
        yield process
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
