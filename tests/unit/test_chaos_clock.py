"""A program's clock of the day jumps while it runs, and nothing else of it does."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sim.chaos import startup
from sim.chaos.startup.sitecustomize import CLOCKS

HOUR_S = 3600.0
PROGRAM = """
import asyncio, sys, time, msgspec
from datetime import UTC, datetime
from time import time as of_day

class Message(msgspec.Struct):
    at: datetime

for _ in sys.stdin:
    steady = time.monotonic()
    asyncio.run(asyncio.sleep(0.01))
    time.sleep(0.01)
    now = datetime.now(UTC)
    assert type(now) is datetime
    assert msgspec.json.decode(msgspec.json.encode(Message(now)), type=Message).at == now
    print(time.time(), of_day(), time.time_ns() / 1e9, now.timestamp(), datetime.now().timestamp(), steady, flush=True)
"""


@pytest.mark.parametrize("jumps_s", [(HOUR_S, -HOUR_S), (-5.0, 5.0)])
def test_a_running_program_has_another_time_and_the_right_one_again(tmp_path: Path, jumps_s: tuple[float, ...]) -> None:
    environment = {**os.environ, CLOCKS: str(tmp_path), "PYTHONPATH": str(Path(startup.__file__).parent)}
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as program:
        clock = tmp_path / str(program.pid)
        for jump_s in (None, *jumps_s, None):
            if jump_s is None:
                clock.unlink(missing_ok=True)
            else:
                clock.write_text(str(jump_s))
            *shown_s, steady_s = _asked(program)
            assert shown_s == pytest.approx([time.time() + (jump_s or 0.0)] * 5, abs=1.0)
            assert steady_s == pytest.approx(time.monotonic(), abs=1.0)
        program.communicate()
    assert program.returncode == 0


def _asked(program: "subprocess.Popen[str]") -> list[float]:
    assert program.stdin is not None
    assert program.stdout is not None
    program.stdin.write("\n")
    program.stdin.flush()
    return [float(word) for word in program.stdout.readline().split()]
