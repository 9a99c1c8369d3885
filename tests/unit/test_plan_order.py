"""Who goes first: fair shares over a long run, priority that age makes up for, and limits of groups."""

import random
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.node import Node
from datamodel.parts import normal_spec
from datamodel.scheduling.groups import JobGroup
from datamodel.scheduling.jobs import Job
from datamodel.scheduling.order import share
from datamodel.scheduling.scheduler import ARRIVAL, BEST_FIT, FAIR_SHARE, PRIORITY
from reconcilers.planning.backlog import Backlog, PendingJob, Ranking
from reconcilers.planning.decisions import JOBS_LIMIT, QUOTA, Decision
from reconcilers.planning.fleet import Fleet
from reconcilers.planning.placement import plan
from reconcilers.planning.turns import Terms
from reconcilers.planning.usage import Held, Usage
from tests.graph import STEPS
from tests.placing import backlog, carried_out, edge, fleet, holding, pending, place, planned, told

AT = datetime(2026, 1, 31, tzinfo=UTC)


def node(after_s: float, **spec: Any) -> Node:
    stored = normal_spec(Job, {"steps": STEPS, **spec})
    at = AT + timedelta(seconds=after_s)
    return Node("/config/job-groups/g/jobs/j", f"{7:032x}", "Job", {}, stored, {}, {}, (), 1, 9, 9, at)


def run_for(
    ticks: int, waiting: Backlog, there: Fleet, groups: Mapping[str, Terms], dice: random.Random
) -> Counter[str]:
    """How many chunk-ticks each group had, where chunks run for one to nine ticks, and what is free is given anew each tick."""
    usage, had = Usage(), Counter[str]()
    running: list[tuple[int, Decision]] = []
    for tick in range(ticks):
        for one in [one for one in running if one[0] <= tick]:
            running.remove(one)
            usage.remove(one[1].attempt)
            there.set_free(one[1].edge, _given_back(there, one[1].edge, dict(one[1].job.signature)))
        found = planned(waiting, there, usage=usage, groups=groups, order=FAIR_SHARE, limit=400)
        carried_out(found, waiting, there, usage)
        running += [(tick + dice.randint(1, 9), decision) for decision in found.decisions]
        for _, decision in running:
            had[decision.job.group] += 1
    return had


def _given_back(there: Fleet, path: str, amounts: Mapping[str, int]) -> dict[str, int]:
    return {name: amount + amounts.get(name, 0) for name, amount in there.free(path).items()}


@pytest.mark.parametrize("weights", [{"a": 1.0, "b": 1.0}, {"a": 3.0, "b": 1.0}, {"a": 1.0, "b": 2.0, "c": 5.0}])
def test_over_a_long_run_groups_have_what_their_weights_say(weights: Mapping[str, float]) -> None:
    jobs = [pending(order, chunks=100_000, group=name) for order, name in enumerate(sorted(weights), start=1)]
    there = fleet(*(edge(number, 8_000) for number in range(4)), policy=BEST_FIT)
    groups = {name: Terms(weight=weight) for name, weight in weights.items()}
    had = run_for(400, backlog(*jobs), there, groups, random.Random(7))
    for name, weight in weights.items():
        ideal = weight / sum(weights.values())
        assert had[name] / had.total() == pytest.approx(ideal, rel=0.05), f"{name} of {dict(had)}"


@pytest.mark.parametrize("order", [FAIR_SHARE, PRIORITY, ARRIVAL])
def test_where_some_are_stopped_for_others_these_go_first(order: str) -> None:
    """Whatever their age and their group's share: else who is stopped would take the room again."""
    ranking = Ranking(order, 60.0, 10)
    old, new = ranking.key(node(0.0, priority=40)), ranking.key(node(10**6, priority=50))
    assert new < old
    jobs = [
        pending(1, group="a", rank=old, priority=40),
        pending(2, group="b", rank=new, priority=50),
        pending(3, group="b", rank=ranking.key(node(0.0, priority=49)), priority=49),
    ]
    held = holding(*((jobs[1], place(1)) for _ in range(3)))
    there = fleet(edge(1, 1_000))
    with there.draft():
        found = plan(backlog(*jobs), there, held, {}, order=order, limit=9, margin=10)
    assert [decision.job.order for decision in found.decisions] == [2]
    assert Ranking(order, 60.0).key(node(0.0, priority=40)) <= Ranking(order, 60.0).key(node(10**6, priority=50))


def test_what_a_group_does_not_want_others_have() -> None:
    jobs = [pending(1, chunks=1, group="a"), pending(2, chunks=9, group="b")]
    found = planned(backlog(*jobs), fleet(edge(1, 8_000)), groups={"a": Terms(weight=9.0)}, order=FAIR_SHARE)
    assert Counter(decision.job.group for decision in found.decisions) == {"a": 1, "b": 7}


def test_a_share_is_of_what_a_group_has_most_of() -> None:
    """The example of Ghodsi et al.: 9 cores and 18 GB, chunks of a core and 4 GB beside chunks of 3 cores and 1 GB."""
    chunky = [("cpu", 1), ("memory", 4)], [("cpu", 3), ("memory", 1)]
    capacity = {"cpu": 9, "memory": 18}
    assert share(dict(chunky[0]), capacity, 1.0) == pytest.approx(4 / 18)
    assert share(dict(chunky[1]), capacity, 1.0) == pytest.approx(3 / 9)
    assert share({}, capacity, 1.0) == 0.0
    assert share({"gpu/none": 3}, {"gpu/none": 0}, 1.0) == 0.0


def test_a_point_of_priority_is_worth_so_many_seconds() -> None:
    ranking = Ranking(PRIORITY, 60.0)
    assert ranking.key(node(0, priority=50)) == ranking.key(node(60, priority=51)) == ranking.key(node(0))
    assert ranking.key(node(59, priority=51)) < ranking.key(node(0, priority=50)) < ranking.key(node(61, priority=51))


def test_who_waits_is_served_however_many_come_that_are_more_urgent() -> None:
    """One edge with room for one chunk, each of which runs a second; a new job of the highest priority comes each second."""
    ranking, there, usage = Ranking(PRIORITY, 1.0), fleet(edge(1, 1_000)), Usage()
    waiting = backlog(pending(1, rank=ranking.key(node(0, priority=0))))
    for second in range(200):
        urgent = ranking.key(node(second, priority=100))
        waiting.put(pending(2 + second, rank=urgent))
        found = planned(waiting, there, usage=usage, order=PRIORITY)
        carried_out(found, waiting, there, usage)
        (decision,) = found.decisions
        if decision.job.order == 1:
            assert second == 100, "as long as a hundred points are worth"
            return
        usage.remove(decision.attempt)
        there.take(decision.edge, decision.job.signature, -1)
    raise AssertionError("it was never served")


def test_what_a_group_holds_counts_against_its_quota() -> None:
    one = pending(1, chunks=5, group="a")
    usage = holding((one, place(1)), (one, place(1)))
    found = planned(backlog(one), fleet(edge(1, 8_000)), usage=usage, groups={"a": Terms(quota={"cpu": 3_500})})
    assert len(found.decisions) == 1
    assert [blocked.reason for blocked in found.blocked] == [QUOTA]


def test_of_a_group_with_a_limit_on_jobs_only_those_go_on_that_have_begun() -> None:
    begun, new = pending(2, chunks=3, group="a"), pending(1, chunks=3, group="a")
    usage = holding((begun, place(1)))
    found = planned(backlog(begun, new), fleet(edge(1, 8_000)), usage=usage, groups={"a": Terms(jobs=1)})
    assert told(found.decisions) == [(2, index, 1, "e1") for index in range(3)]
    assert [(blocked.job.order, blocked.reason) for blocked in found.blocked] == [(1, JOBS_LIMIT)]


def test_the_terms_of_a_group_are_those_of_its_spec() -> None:
    spec = {
        "weight": 2,
        "quota": {"cpu": 1.5, "gpus": {"a100": 2}, "countables": {"licence": 3}},
        "maxJobsInFlight": 4,
        "paused": True,
    }
    quota = {"cpu": 1_500, "gpu/a100": 2, "count/licence": 3}
    assert Terms.of(normal_spec(JobGroup, spec)) == Terms(2.0, quota, 4, True)
    assert Terms.of(normal_spec(JobGroup, {})) == Terms()


_holds = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3), st.integers(0, 2), st.booleans()), max_size=40)


@given(_holds)
def test_usage_is_the_sum_of_what_is_held(said: list[tuple[int, int, int, bool]]) -> None:
    """Whatever is said twice, or of what is not there."""
    usage, held = Usage(), dict[str, tuple[PendingJob, str]]()
    for attempt, order, where, comes in said:
        one = pending(order, group=f"g{order % 2}")
        name = f"{place(where)}/attempts/{attempt}"
        if comes:
            if name not in held:
                held[name] = (one, place(where))
            holding_one(usage, name, *held[name])
        else:
            held.pop(name, None)
            usage.remove(name)
    assert len(usage) == len(held)
    for group in ("g0", "g1"):
        mine = [one for one, _ in held.values() if one.group == group]
        assert usage.of_group(group).get("cpu", 0) == 1_000 * len(mine)
        assert usage.begun_in(group) == sorted({one.path for one in mine})
        assert usage.jobs_in_flight(group) == len({one.path for one in mine})
    for one, _ in held.values():
        expected = Counter(where for other, where in held.values() if other.path == one.path)
        assert dict(usage.of_job(one.path)) == dict(expected)


def holding_one(usage: Usage, attempt: str, job: PendingJob, where: str) -> None:
    usage.add(attempt, Held(job.path, where, job.signature))
