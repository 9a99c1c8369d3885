"""What decisions say of themselves, and the place in the queue that people are told: it is the one that the planner goes by."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.kinds import Document
from datamodel.parts import normal_spec
from datamodel.scheduling.answers import EdgesThat
from datamodel.scheduling.attempts import Attempt
from datamodel.scheduling.deciding import decided
from datamodel.scheduling.placing import Rules
from datamodel.scheduling.queueing import Ahead, Group, Queued, ahead_of
from datamodel.scheduling.scheduler import ARRIVAL, BEST_FIT, FAIR_SHARE, FIRST_FIT, POWER_AWARE, PRIORITY
from datamodel.scheduling.starting import start_of
from datamodel.scheduling.waiting import Reason
from reconcilers.planning.backlog import PendingJob
from reconcilers.planning.reasons import Told, is_material
from reconcilers.planning.turns import Terms
from tests.graph import REQUESTS, STEPS
from tests.placing import backlog, edge, fleet, holding, pending, place, planned

NOW = datetime(2030, 1, 1, tzinfo=UTC)
RATE = 60.0


def test_a_decision_says_how_the_edge_was_looked_for_and_why_it_was_its_turn() -> None:
    there = fleet(*(edge(number) for number in range(3)), edge(9, labels={"arm": "yes"}), policy=BEST_FIT)
    waiting = backlog(pending(1, cpu=500, group="red", rules=Rules(required="!arm")), pending(2, cpu=900, group="blue"))
    usage = holding((pending(7, cpu=1000, group="red"), place(0)))
    by_path = {
        d.job.path.split("/")[3]: d.why for d in planned(waiting, there, usage=usage, order=FAIR_SHARE).decisions
    }
    assert by_path == {
        "blue": {"policy": "bestFit", "order": "fairShare", "edges": 4, "by": "cpu", "share": 0.0},
        "red": {"policy": "bestFit", "order": "fairShare", "edges": 3, "by": "cpu", "share": 0.25},
    }
    assert decided(by_path["red"]) == (
        "bestFit by cpu among 3 edges that suited; fairShare: its group's share was 25.00%, and no other's smaller"
    )


@pytest.mark.parametrize(
    ("policy", "order", "why", "told"),
    [
        (FIRST_FIT, ARRIVAL, {}, "firstFit among 1 edges that suited; arrival: it was the first to come"),
        (
            POWER_AWARE,
            PRIORITY,
            {"by": "power", "rank": 100},
            "powerAware by power among 1 edges that suited; priority: its rank was the first",
        ),
        (
            BEST_FIT,
            FAIR_SHARE,
            {"by": "cpu", "rank": 100},
            "bestFit by cpu among 1 edges that suited; fairShare: its rank was the first",
        ),
    ],
)
def test_where_no_group_has_to_be_compared_it_says_the_rank(policy: str, order: str, why: Document, told: str) -> None:
    (decision,) = planned(backlog(pending(1, rank=100.5)), fleet(edge(1), policy=policy), order=order).decisions
    assert decision.why == {"policy": policy, "order": order, "edges": 1, **why}
    assert decided(decision.why) == told
    spec = {"job": "/j", "index": 0, "count": 1, "steps": STEPS, "requests": REQUESTS, "decision": decision.why}
    assert normal_spec(Attempt, spec)["decision"] == decision.why


@st.composite
def lines(draw: st.DrawFn) -> list[PendingJob]:
    jobs = draw(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5), st.integers(0, 3)), min_size=1, max_size=12)
    )
    return [
        pending(order, chunks=chunks, group=group, rank=float(rank), cpu=1000)
        for order, (group, chunks, rank) in enumerate(jobs, start=1)
    ]


@given(
    lines(),
    st.sampled_from([PRIORITY, ARRIVAL, FAIR_SHARE]),
    st.dictionaries(st.sampled_from("abc"), st.sampled_from([1.0, 2.0])),
)
def test_what_goes_before_a_job_is_what_the_planner_places_before_it(
    jobs: list[PendingJob], order: str, weights: dict[str, float]
) -> None:
    capacity = {"cpu": 100_000, "memory": 2**40, "power": 10**9}
    there = fleet(edge(1, cpu=100_000, more={"memory": 2**40, "power": 10**9}))
    groups = {name: Terms(weight) for name, weight in weights.items()}
    found = planned(backlog(*jobs), there, groups=groups, order=order, limit=1_000).decisions
    assert len(found) == sum(job.count for job in jobs)
    terms = {name: Group({}, weight) for name, weight in weights.items()}
    for job in jobs:
        before = next(index for index, decision in enumerate(found) if decision.job.path == job.path)
        ahead = ahead_of(queued(job), [queued(one) for one in jobs], terms, capacity, order, at_least=False)
        # With fair shares a group is served a little beyond the others' at a time: by one chunk of each at most.
        slack = 3 if order == FAIR_SHARE else 0
        assert abs(ahead.chunks - before) <= slack, (ahead, before)
        in_group = [decision for decision in found[:before] if decision.job.group == job.group]
        assert ahead.group_chunks == len(in_group)


def queued(job: PendingJob) -> Queued:
    return Queued(job.path, job.group, job.place, job.count, job.signature)


def test_nothing_goes_of_a_group_that_is_paused_and_what_a_group_holds_counts() -> None:
    mine, other = queued(pending(2, group="a")), queued(pending(1, chunks=9, group="b", rank=-1.0))
    capacity = {"cpu": 10_000}
    asked = mine, [mine, other]
    assert ahead_of(*asked, {}, capacity, PRIORITY, at_least=False) == Ahead(0, 0, 1, 9)
    paused = {"b": Group(paused=True)}
    assert ahead_of(*asked, paused, capacity, PRIORITY, at_least=True) == Ahead(0, 0, 0, 0, at_least=True)
    holding_more = {"b": Group({"cpu": 3_000})}
    assert ahead_of(*asked, holding_more, capacity, FAIR_SHARE, at_least=False).chunks == 0
    holding_less = {"a": Group({"cpu": 3_000})}
    assert ahead_of(*asked, holding_less, capacity, FAIR_SHARE, at_least=False).chunks == 3


FULL = [EdgesThat("Full", "has 0 cores left", 1, "s/e", "cpu")]
ROOM = [EdgesThat("HasRoom", "has room", 1, "s/e")]


@pytest.mark.parametrize(
    ("reason", "edges", "ahead", "rate", "at", "basis"),
    [
        (
            "Queued",
            ROOM,
            Ahead(0, 0, 1, 3),
            0.0,
            "2030-01-01T00:00:00+00:00",
            "3 chunks go before it, and there is room for 4 such as its own",
        ),
        (
            "NoRoomForAll",
            ROOM,
            Ahead(0, 0, 9, 9),
            RATE,
            "",
            "its chunks need room at the same time, and nothing tells when there is",
        ),
        ("NoSuitableEdge", FULL, Ahead(0, 0, 0, 0), RATE, "", "no edge that there is could take it"),
        ("GroupPaused", ROOM, Ahead(0, 0, 0, 0), RATE, "", "it is not known when it ends that it is so"),
        (
            "Queued",
            ROOM,
            Ahead(0, 0, 0, 0),
            0.0,
            "2030-01-01T00:00:00+00:00",
            "s/e has room, and nothing goes before it",
        ),
        (
            "NoRoom",
            FULL,
            Ahead(0, 0, 2, 59),
            RATE,
            "2030-01-01T00:01:00+00:00",
            "59 chunks go before it, and 60 a minute have succeeded lately",
        ),
        (
            "Queued",
            ROOM,
            Ahead(0, 0, 2, 59, at_least=True),
            30.0,
            "2030-01-01T00:02:00+00:00",
            "at least 59 chunks go before it, and 30 a minute have succeeded lately",
        ),
        (
            "NoRoom",
            FULL,
            Ahead(0, 0, 0, 0),
            0.0,
            "",
            "no chunk has succeeded lately, so nothing tells when there is room",
        ),
        (
            "NoRoom",
            FULL,
            Ahead(0, 0, 1, 10**9),
            1.0,
            "",
            "as chunks have succeeded lately, 1 a minute, not within a year",
        ),
    ],
)
def test_a_start_is_told_with_what_it_rests_on_or_not_at_all(
    reason: str, edges: list[EdgesThat], ahead: Ahead, rate: float, at: str, basis: str
) -> None:
    found = start_of(Reason(reason, "it is so"), edges, 4 if edges is ROOM else 0, ahead, rate, NOW)
    assert (found.at, found.basis) == (at, basis)


def test_news_is_another_reason_or_other_numbers_and_not_what_comes_and_goes() -> None:
    def told(reason: str = "NoRoom", **counts: int) -> Told:
        return Told(reason, str(counts), {(name, ""): count for name, count in counts.items()})

    assert not is_material(told(Full=90, Cordoned=10), told(Full=85, Cordoned=15))
    assert is_material(told(Full=90, Cordoned=10), told(Full=79, Cordoned=21))
    assert is_material(told(Full=90), told(Full=90, Cordoned=1)), "a filter more"
    assert is_material(told("NoRoom"), told("GroupPaused"))
    assert not is_material(told(Full=2, Cordoned=1), told(Full=1, Cordoned=2))
    assert is_material(Told("QuotaReached", "holds 1"), Told("QuotaReached", "holds 2"))
