"""Who was heard from: it answers for each edge as if every beat had named it, and looks after agents, not edges."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.scheduling.wire import hosted_edges
from reconcilers import heard
from reconcilers.heard import Heard
from tests.universe import outcome

QUIET_S = 3.0
_agents = st.sampled_from(["g", "g-1", "h"])
_beats = st.lists(st.tuples(_agents, st.integers(1, 4), st.floats(0.1, 5.0)), max_size=12)


@given(_beats)
def test_an_edge_was_heard_when_a_beat_last_counted_it_in(beats: list[tuple[str, int, float]]) -> None:
    async def scenario() -> None:
        found, last = Heard(QUIET_S, 900.0), dict[str, float]()
        loop = asyncio.get_running_loop()
        for agent, count, pause_s in beats:
            await asyncio.sleep(pause_s)
            found.hear("s", agent, count)
            last |= dict.fromkeys(hosted_edges(agent, count), loop.time())
        for name in ("g", "g-0", "g-1", "g-1-0", "g-3", "g-4", "g-01", "h", "h-0", "x"):
            assert found.since_s(f"s/{name}") == last.get(name)
            assert found.since_s(f"t/{name}") is None

    outcome(scenario)


def test_the_edges_of_a_silent_agent_are_woken_once_and_those_of_others_are_not() -> None:
    async def scenario() -> None:
        found, woken = Heard(QUIET_S, 900.0), list[str]()
        found.wake = woken.append
        for _ in range(10):
            found.hear("s", "g", 3)
            found.hear("s", "h", 1)
            assert found.is_watched("s/g-2")
            await asyncio.sleep(QUIET_S / 2)
        assert not woken
        for _ in range(10):
            found.hear("s", "h", 1)
            await asyncio.sleep(QUIET_S / 2)
        assert woken == ["s/g-0", "s/g-1", "s/g-2"]
        assert not found.is_watched("s/g-2")

    outcome(scenario)


def test_an_edge_that_is_away_is_woken_by_the_next_beat_that_counts_it_in() -> None:
    async def scenario() -> None:
        found, woken = Heard(QUIET_S, 900.0), list[str]()
        found.wake = woken.append
        for edge in ("s/g-0", "s/g-1", "s/h"):
            found.judge(edge, is_away=True)
        found.hear("s", "g", 1)  # which is edge g
        assert not woken
        found.hear("s", "g", 2)
        assert sorted(woken) == ["s/g-0", "s/g-1"]
        found.judge("s/g-0", is_away=False)
        woken.clear()
        found.hear("s", "g", 2)
        assert woken == ["s/g-1"]

    outcome(scenario)


def test_an_edge_that_its_group_has_left_is_watched_no_more_and_not_forgotten() -> None:
    async def scenario() -> None:
        found = Heard(QUIET_S, 900.0)
        found.hear("s", "g", 5)
        left_s = asyncio.get_running_loop().time()
        await asyncio.sleep(1.0)
        found.hear("s", "g", 4)
        assert found.since_s("s/g-4") == left_s
        assert not found.is_watched("s/g-4")
        assert found.is_watched("s/g-3")

    outcome(scenario)


def test_of_too_many_agents_those_that_are_silent_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heard, "AGENTS_LIMIT", 2)

    async def scenario() -> None:
        found = Heard(QUIET_S, 900.0)
        for name in ("a", "b", "c"):
            found.hear("s", name, 1)
        assert found.since_s("s/c") is None
        await asyncio.sleep(901.0)
        found.hear("s", "b", 1)
        found.hear("s", "c", 1)
        assert found.since_s("s/a") is None
        assert found.since_s("s/c") is not None

    outcome(scenario)
