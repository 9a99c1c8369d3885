"""What is told of processes by their numbers."""

import os
import subprocess
import sys

from agents.runtimes.process.identity import has_child

MIDDLE = """
import os, sys
sys.stdin.readline()
child = os.fork()
if child == 0:
    os._exit(0)
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
print("ended", flush=True)
sys.stdin.readline()
os.wait()
print("reaped", flush=True)
sys.stdin.readline()
"""


def test_a_child_is_one_until_it_is_waited_for() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", MIDDLE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as middle:
        assert middle.stdin is not None
        assert middle.stdout is not None
        assert has_child(os.getpid())
        assert not has_child(middle.pid)
        middle.stdin.write("\n")
        assert middle.stdout.readline() == "ended\n"
        assert has_child(middle.pid)
        middle.stdin.write("\n")
        assert middle.stdout.readline() == "reaped\n"
        assert not has_child(middle.pid)
