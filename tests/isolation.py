"""What this machine has to isolate and limit processes with. A test that needs what is not here says what would make it run."""

import shutil
from pathlib import Path

import pytest

from agents.runtimes.process.bubblewrap import Sandbox
from agents.runtimes.process.delegation import delegate
from agents.runtimes.process.owner import step_owner
from agents.runtimes.process.spawn import refusal


def working_bubblewrap() -> str:
    """The path of bubblewrap's program. Skips the test where it is not installed, or the kernel allows it nothing."""
    program = shutil.which("bwrap")
    if program is None:
        pytest.skip("needs bubblewrap: apt-get install bubblewrap")
    if reason := refusal(Sandbox(program), step_owner("nobody")):
        pytest.skip(f"needs a kernel that allows bubblewrap user namespaces: {reason}")
    return program


def writable_groups() -> Path:
    """A directory of cgroup v2 to make groups in. Skips the test where there is none."""
    delegation = delegate()
    if delegation.group is None:
        pytest.skip(f"needs root, or a group of its own, on a host with cgroup v2 alone: {delegation.reason}")
    return delegation.group
