"""Every program is harmed while jobs run; nothing is lost, and every chunk is counted once."""

import asyncio
import json
import shutil
import sys

import pytest

from sim.chaos.checker import RULES
from sim.chaos.faults.catalogue import catalogue
from sim.chaos.faults.fault import Fault, NotBittenError, System
from sim.chaos.machine import ROOT
from sim.chaos.report import show, summed_up
from sim.chaos.run import chaos

KILLED = ("kill-agent", "kill-reconcilers", "kill-gateway", "kill-nats", "kill-postgres")
FAULTS = (*KILLED, "stop-reconcilers", "restart-agent", "wipe-nats", "compact-log", "jump-agent")


class Harmless(Fault):
    """Does nothing, which a run must notice."""

    name = "harmless"

    async def inject(self, system: System) -> None:
        assert system.machine.process.poll() is None

    async def bitten(self, system: System) -> str:
        raise NotBittenError("it has no teeth")


@pytest.mark.timeout(240)
async def test_all_holds_while_every_program_dies_and_a_fault_that_does_not_bite_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = catalogue()
    run = await chaos([*(known[name] for name in FAULTS), Harmless()], minutes=0, seed=7, edges=4)
    summary = summed_up(run, seed=7)
    found = [(violation.check, violation.message) for violation in run.violations]
    assert found == [("bites", "harmless: NotBittenError: it has no teeth")], (summary, run.directory)
    assert run.figures["jobsSucceeded"] == run.figures["jobsAccepted"] > 0
    assert {name: fault["bitten"] for name, fault in summary["faults"].items()} == {
        **dict.fromkeys(FAULTS, 1),
        "harmless": 0,
    }
    assert all(summary["violatedTimes"][rule] == 0 for rule in RULES)
    show(summary)
    printed = capsys.readouterr().out
    assert "VIOLATION bites: harmless" in printed
    assert json.loads(printed.splitlines()[-1]) == summary
    shutil.rmtree(run.directory)


async def test_a_fault_that_there_is_not_is_named() -> None:
    command = (sys.executable, "-m", "sim.chaos", "--faults", "kill-gateway,tsunami")
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stderr=asyncio.subprocess.PIPE)
    _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert b"--faults: no tsunami" in said
