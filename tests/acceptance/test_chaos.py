"""Every program is harmed while jobs run; nothing is lost, and every chunk is counted once."""

import asyncio
import json
import os
import shutil
import sys

import pytest

from sim.chaos.checker import RULES
from sim.chaos.faults.catalogue import catalogue
from sim.chaos.faults.fault import Fault, NotBittenError, System
from sim.chaos.machine import ROOT
from sim.chaos.report import show, summed_up
from sim.chaos.run import Terms, chaos
from tests.namespaces import need_namespaces

KILLED = ("kill-agent", "kill-reconcilers", "kill-gateway", "kill-nats", "kill-postgres")
AT_SITES = ("cut-line", "cut-leaf", "clone-agent", "rogue-agent")
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
    run = await chaos([*(known[name] for name in FAULTS), Harmless()], Terms(minutes=0, seed=7, edges=4))
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


@pytest.mark.timeout(240)
async def test_all_holds_at_sites_whose_lines_fail_and_whose_agents_are_cloned_and_lie() -> None:
    need_namespaces()
    asked = ("--minutes", "0", "--seed", "3", "--edges", "1", "--hold-s", "4", "--faults", ",".join(AT_SITES))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sim.chaos", *asked),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, said = await asyncio.wait_for(process.communicate(), 220)
    assert process.returncode == 0, (told.decode(), said.decode())
    summary = json.loads(told.splitlines()[-1])
    assert {name: fault["bitten"] for name, fault in summary["faults"].items()} == dict.fromkeys(AT_SITES, 1)
    assert summary["figures"]["jobsSucceeded"] == summary["figures"]["jobsAccepted"] > 0


async def test_who_cannot_have_namespaces_is_told_what_is_left_out() -> None:
    command = (sys.executable, "-m", "sim.chaos", "--faults", "cut-line,fill-disk")
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env={**os.environ, "PATH": "/nowhere"}, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert b"so without cut-line, fill-disk" in said


async def test_a_fault_that_there_is_not_is_named() -> None:
    command = (sys.executable, "-m", "sim.chaos", "--faults", "kill-gateway,tsunami")
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stderr=asyncio.subprocess.PIPE)
    _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert b"--faults: no tsunami" in said
