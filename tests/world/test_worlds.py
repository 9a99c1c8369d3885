"""Whole worlds: what must hold does, a seed is the same world again, and what breaks is made short."""

import os
import subprocess
import sys
from collections import Counter
from datetime import timedelta

import pytest
from msgspec.structs import replace

from agents.runtimes.reasons import ENGINE_AWAY
from datamodel.errors import Invalid
from sim.world.author import script_of
from sim.world.file import read, written
from sim.world.process import EPOCH
from sim.world.run import run
from sim.world.script import AnyAction, Ask, Away, Kill, Script, Submit
from sim.world.shrink import shrunk
from sim.world.weather import ROUGH
from sim.world.world import World

DAY_S = 86_400.0


@pytest.mark.parametrize("seed", [10, 20, 24])
def test_a_seed_is_the_same_world_again_whatever_strings_hash_to(seed: int) -> None:
    seen = set()
    for hash_seed in ("0", "3"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-m", "sim.world", "--seed", str(seed), "--log"]
        seen.add(subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout)
    (lines,) = seen
    assert "held: " in lines.splitlines()[-1]


def test_a_quiet_day_writes_nothing_but_what_happens() -> None:
    jobs = (Submit(10.0, "a", 5), Submit(DAY_S / 2, "b", 5))
    outcome = run(Script(seed=1, edges=1, replicas=1, seconds=DAY_S, actions=jobs))
    assert outcome.broken == []
    assert outcome.counts["positions"] < 100
    assert outcome.counts["containers"] == 10


def test_uneven_jobs_have_stragglers_and_fail_midway_and_end_as_they_must() -> None:
    def ended_s(sigma: float) -> int:
        job = Submit(1.0, "a", 20, seconds=5.0, fails=1, sigma=sigma)
        outcome = run(Script(seed=3, edges=2, replicas=1, seconds=60.0, actions=(job,)))
        assert outcome.broken == []
        assert outcome.counts["containers"] == 40
        return outcome.counts["steps"]

    assert ended_s(1.0) != ended_s(0.0)


def test_what_waits_for_an_engine_that_is_away_runs_elsewhere() -> None:
    away = Away(10.0, "edge-0", 200.0)
    before, during = (Submit(at_s, name, 4, seconds=2.0) for at_s, name in ((12.0, "a"), (100.0, "b")))
    world = World(Script(seed=5, edges=2, replicas=1, seconds=300.0, actions=(away, before, during)))
    assert world.run().broken == []
    nodes = world.nodes.values()
    attempts = [node for node in nodes if node.kind == "Attempt"]
    assert Counter((node.path.split("/")[5], node.phase, node.status["reason"]) for node in attempts) == {
        ("edge-0", "interrupted", ENGINE_AWAY): 4,
        ("edge-1", "succeeded", ""): 8,
    }
    ended = {node.path[-1]: node.status["finishedAt"] for node in nodes if node.kind == "Job"}
    assert ended["a"] < (EPOCH + timedelta(seconds=40)).isoformat()
    assert ended["b"] < (EPOCH + timedelta(seconds=110)).isoformat()
    assert [node.spec["trouble"] for node in nodes if node.kind == "Edge"] == ["", ""]


def test_a_world_is_not_at_rest_while_nobody_has_seen_that_a_failed_job_is_to_be_tried_again() -> None:
    job = Submit(343.564, "a", 19, steps=3, seconds=1.2, fails=3, fails_by="image")
    retry = Ask(538.957, "a", "retry")
    world = World(Script(seed=1205, edges=3, replicas=1, seconds=540.0, slots=1, actions=(job, retry)))
    assert world.run().broken == []
    assert [node.phase for node in world.nodes.values() if node.kind == "Job"] == ["succeeded"]


def test_a_seed_may_have_uneven_jobs() -> None:
    jobs = [[job.sigma for job in script_of(seed).actions if isinstance(job, Submit)] for seed in range(50)]
    uneven = sum(any(sigmas) for sigmas in jobs)
    assert 3 <= uneven <= 20


def test_what_was_taken_away_of_a_script_changes_nothing_of_the_rest() -> None:
    quiet = Script(seed=3, edges=2, replicas=1, seconds=60.0, weather=ROUGH, actions=(Submit(1.0, "a", 20),))
    kill = Kill(59.0, "edge-1", 1.0)
    early = [run(script.with_actions((*script.actions, *more))) for script in (quiet,) for more in ((), (kill,))]
    assert [outcome.broken for outcome in early] == [[], []]
    assert early[0].counts["containers"] == 20


def test_a_script_that_breaks_is_made_short() -> None:
    def breaks(script: Script) -> bool:
        kills = [action for action in script.actions if isinstance(action, Kill)]
        jobs = [action for action in script.actions if isinstance(action, Submit)]
        return len(kills) > 1 and any(job.chunks > 5 for job in jobs)

    script = script_of(6)
    more: list[AnyAction] = [*script.actions, Kill(1.0, "edge-0", 1.0), Kill(2.0, "edge-0", 1.0), Submit(3.0, "x", 100)]
    short = shrunk(script.with_actions(more), breaks)
    assert sorted(type(action).__name__ for action in short.actions) == ["Kill", "Kill", "Submit"]
    assert all(5 < action.chunks <= 11 for action in short.actions if isinstance(action, Submit))


def test_a_script_is_read_as_it_was_written() -> None:
    for seed in range(50):
        script = script_of(seed)
        assert read(written(script)) == script


@pytest.mark.parametrize(("line", "text"), [(1, "{"), (1, ""), (2, '{"do":"eat","atS":1}'), (2, '{"do":"kill"}')])
def test_a_script_that_is_none_names_its_line(line: int, text: str) -> None:
    head = written(replace(script_of(1), actions=()))
    with pytest.raises(Invalid, match=f"line {line} of the script"):
        read(text if line == 1 else head + text)
