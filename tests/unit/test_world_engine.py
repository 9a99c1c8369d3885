"""The ways in which a step fails in a world, and what the hub is told of it."""

import pytest

from datamodel.scheduling.jobs import FAILED, SUCCEEDED
from sim.world.engine import FailsBy
from sim.world.requests import path_of
from sim.world.script import Script, Submit
from sim.world.world import World


@pytest.mark.parametrize(
    ("by", "reason", "codes"),
    [
        ("exit", "NonZeroExit", [1]),
        ("memory", "OOMKilled", [137]),
        ("image", "PullFailed", [125]),
        ("time", "TimedOut", [137]),
    ],
)
@pytest.mark.parametrize(("fails", "phase"), [(1, SUCCEEDED), (2, FAILED)])
def test_a_failure_has_its_reason_and_costs_a_retry(
    by: FailsBy, reason: str, codes: list[int], fails: int, phase: str
) -> None:
    job = Submit(10.0, "a", 1, steps=2, seconds=2.0, retries=1, fails=fails, fails_by=by)
    world = World(Script(seed=1, edges=1, replicas=1, seconds=60.0, actions=(job,)))
    outcome = world.run()
    assert outcome.broken == []
    nodes = world._database.store.state.nodes
    assert nodes[path_of("a")].phase == phase
    ends = [node.status for node in nodes.values() if node.kind == "Attempt"]
    failed = [end for end in ends if end["phase"] == "failed"]
    assert [(end["reason"], end["exitCodes"]) for end in failed] == [(reason, codes)] * fails
