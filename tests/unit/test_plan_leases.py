"""Which attempts are granted more time, and which chunks go elsewhere since their attempts' leases are over."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.node import Node
from datamodel.scheduling.edges import DISCONNECTED, LOST, ONLINE, SUSPECT, desired_path
from datamodel.scheduling.fitting import unfit
from datamodel.scheduling.leases import GUARD_S, LEASE_LEAST_S, LEASE_MOST_S, over_after_s
from datamodel.scheduling.placing import Rules
from reconcilers.planning.backlog import Backlog, PendingJob, wanted_of
from reconcilers.planning.leases import granted, over
from tests.graph import JOBS
from tests.placing import edge, fleet, place, planned

INTENTS = (("run", None), ("stop", None), ("abandon", None), ("abandon", "EdgeDrained"), ("abandon", "LeaseOver"))


def attempt(intent: str, reason: str | None = None, number: int = 0) -> Node:
    spec = {"leaseS": 60.0, "intent": intent, **({"intentReason": reason} if reason else {})}
    path = f"{desired_path('s', 'e')}/attempts/a-{number}"
    return Node(path, "1" * 32, "Attempt", {}, spec, {}, {}, (), 1, 7, 7, datetime(2030, 1, 1, tzinfo=UTC))


attempts = st.lists(st.sampled_from(INTENTS), max_size=8).map(
    lambda found: [attempt(*what, number) for number, what in enumerate(found)]
)


@given(attempts, st.sets(st.integers(0, 9)))
def test_only_what_is_to_run_and_is_asked_for_is_granted_anything(some: list[Node], asked: set[int]) -> None:
    found = granted(some, [f"a-{number}" for number in asked])
    assert found == [one for number, one in enumerate(some) if number in asked and one.spec["intent"] == "run"]


@given(attempts, st.sampled_from((ONLINE, SUSPECT, DISCONNECTED, LOST, "")), st.floats(-100, 100))
def test_a_chunk_goes_elsewhere_after_its_lease_where_nobody_is_heard_or_it_is_to_leave(
    some: list[Node], phase: str, later_s: float
) -> None:
    left_s = {one.path: 10.0 * number - 30.0 - later_s for number, one in enumerate(some)}
    found = over(some, phase, lambda one: left_s[one.path])
    waited = [
        one
        for one in some
        if (one.spec["intent"] == "run" and phase in (DISCONNECTED, LOST))
        or (one.spec["intent"] == "abandon" and one.spec.get("intentReason") != "LeaseOver")
    ]
    assert found.attempts == [one for one in waited if left_s[one.path] <= 0]
    assert found.next_s == min((left_s[one.path] for one in waited if left_s[one.path] > 0), default=None)


@given(st.floats(LEASE_LEAST_S, LEASE_MOST_S), st.floats(0.99, 1.01))
def test_a_lease_and_its_guard_are_over_by_any_clock_that_is_about_right(lease_s: float, pace: float) -> None:
    assert over_after_s(lease_s) >= lease_s * pace + GUARD_S


@pytest.mark.parametrize(("guard", "fits"), [("lease", True), ("none", False), (None, False)])
def test_a_chunk_of_an_exclusive_job_fits_where_it_can_be_ended_without_its_agent(
    guard: str | None, *, fits: bool
) -> None:
    labels = {"tendril/site": "s", **({"tendril/guard": guard} if guard is not None else {})}
    asked = {"cpu": 1}
    assert unfit(labels, asked, asked, asked, Rules.of({"cutOff": {"policy": "wait"}}, {})) is None
    found = unfit(labels, asked, asked, asked, Rules.of({"cutOff": {"policy": "exclusive"}}, {}))
    assert (found is None) == fits
    if found is not None:
        assert (found.reason, found.message) == (
            "NoLeases",
            "cannot end a chunk without its agent, and the job is exclusive",
        )


def test_placement_passes_over_edges_that_cannot_end_it() -> None:
    line = Backlog()
    wanted = wanted_of((("cpu", 100),), Rules.of({"cutOff": {"policy": "exclusive"}}, {}))
    line.put(PendingJob(f"{JOBS}/j", "1" * 32, 1, 3, wanted, 0))
    there = fleet(edge(1), edge(2, labels={"tendril/guard": "none"}), edge(3, labels={"tendril/guard": "lease"}))
    assert {decision.edge for decision in planned(line, there).decisions} == {place(3)}
