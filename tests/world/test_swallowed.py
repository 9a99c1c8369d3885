"""Worlds in which the feed loses messages just when they matter: whatever it is, it is made good, and said to be a defect."""

import pytest

from sim.world.run import run
from sim.world.script import AnyAction, Ask, Delete, Script, Submit, Swallow

JOB = Submit(10.0, "j", 2, seconds=20.0)

STORIES: dict[str, tuple[AnyAction, ...]] = {
    "begin": (Swallow(9.5, "edge-0", 5.0), JOB),
    "stop": (Submit(10.0, "j", 2, seconds=150.0), Swallow(19.5, "edge-0", 5.0), Ask(20.0, "j", "abort")),
    "go": (JOB, Swallow(59.5, "edge-0", 5.0), Delete(60.0, "j")),
}


@pytest.mark.parametrize("story", STORIES)
def test_what_the_feed_swallowed_is_made_good(story: str) -> None:
    lines: list[str] = []
    outcome = run(Script(seed=3, edges=1, replicas=1, seconds=200.0, actions=STORIES[story]), lines=lines)
    assert outcome.broken == []
    assert any("edge-0: error: the feed missed something" in line for line in lines)
    assert any("an agent has made good what its feed missed" in line for line in lines)


def test_where_nothing_is_swallowed_nothing_is_made_good() -> None:
    actions: tuple[AnyAction, ...] = (JOB, Ask(20.0, "j", "abort"), Delete(60.0, "j"))
    lines: list[str] = []
    outcome = run(Script(seed=3, edges=1, replicas=1, seconds=200.0, actions=actions), lines=lines)
    assert outcome.broken == []
    assert not any("made good" in line for line in lines)
