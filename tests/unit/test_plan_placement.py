"""Placement's plan: never more than is free, nobody waits for somebody else's lack of room, and one world has one plan."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from datamodel.node import Node
from datamodel.parts import normal_spec
from datamodel.scheduling.attempts import Attempt, claim_of
from datamodel.scheduling.jobs import Job
from datamodel.scheduling.scheduler import ARRIVAL, BEST_FIT, FAIR_SHARE, FIRST_FIT, POWER_AWARE, PRIORITY, SPREAD
from reconcilers.planning.backlog import Arranged, Chunk, PendingJob
from reconcilers.planning.decisions import NO_ROOM, attempt_spec
from reconcilers.planning.turns import Terms
from reconcilers.planning.usage import Usage
from reconcilers.planning.views import Edge
from tests.graph import STEPS
from tests.placing import backlog, carried_out, edge, fleet, pending, place, planned, told

POLICIES = [FIRST_FIT, BEST_FIT, SPREAD, POWER_AWARE]
ORDERS = [FAIR_SHARE, PRIORITY, ARRIVAL]
AT = datetime(2026, 1, 31, tzinfo=UTC)


def job(spec: Mapping[str, Any], labels: Mapping[str, str] | None = None) -> Node:
    stored = normal_spec(Job, {"steps": STEPS, **spec})
    path = "/config/job-groups/default/jobs/j"
    return Node(path, f"{7:032x}", "Job", dict(labels or {}), stored, {}, {}, (), 1, 9, 9, AT)


def test_chunks_fill_the_first_edge_first() -> None:
    found = planned(backlog(pending(1, chunks=5)), fleet(edge(1, 2000), edge(2, 2000)))
    assert told(found.decisions) == [(1, 0, 1, "e1"), (1, 1, 1, "e1"), (1, 2, 1, "e2"), (1, 3, 1, "e2")]
    assert [(one.job.order, one.reason) for one in found.blocked] == [(1, NO_ROOM)]


def test_an_edge_is_told_all_that_a_job_asks_of_containers() -> None:
    step = {
        **STEPS[0],
        "pullPolicy": "Never",
        "shell": ["/bin/ash", "-c"],
        "user": "7",
        "readOnlyRoot": False,
        "continueOnError": True,
    }
    limits = {"timeoutS": 5.0, "pids": 64, "tmpBytes": 4096, "swapBytes": 1}
    asked = {"steps": [step], "requests": {"gpus": {"count": 2}}, "limits": limits, "network": "bridge"}
    told = normal_spec(Attempt, attempt_spec(job(asked), Chunk(0, 1), 1))
    assert (told["limits"], told["network"]) == (limits, "bridge")
    assert "labels" not in attempt_spec(job(asked), Chunk(0, 1), 1)
    labels = {"kueue.x-k8s.io/queue-name": "night"}
    assert normal_spec(Attempt, attempt_spec(job(asked, labels), Chunk(0, 1), 1))["labels"] == labels
    assert "annotations" not in told
    annotated = job({**asked, "annotations": {"example.com/a": "b c"}})
    assert normal_spec(Attempt, attempt_spec(annotated, Chunk(0, 1), 1))["annotations"] == {"example.com/a": "b c"}
    assert told["requests"]["gpus"] == {"count": 2, "driver": "nvidia", "type": "nvidia"}
    assert told["steps"][0] == {**step, "command": [], "env": {}}


def test_a_job_of_before_there_were_limits_and_networks_is_placed() -> None:
    one = job({})
    before = structs.replace(one, spec={name: value for name, value in one.spec.items() if name != "network"})
    assert normal_spec(Attempt, attempt_spec(before, Chunk(0, 1), 1))["network"] == "none"


def test_jobs_are_served_in_order_of_arrival_whatever_they_ask_for() -> None:
    waiting = backlog(pending(3), pending(1, cpu=2000), pending(2))
    assert [one[0] for one in told(planned(waiting, fleet(edge(1, 8000))).decisions)] == [1, 2, 3]


def test_a_job_that_fits_nowhere_keeps_nobody_waiting() -> None:
    waiting = backlog(pending(1, cpu=64_000, chunks=3), pending(2), pending(3, cpu=64_000), pending(4))
    assert [one[0] for one in told(planned(waiting, fleet(edge(1, 8000))).decisions)] == [2, 4]


def test_retries_come_before_what_was_never_placed() -> None:
    waiting = backlog(pending(1, chunks=9, begun=4, retries=[Chunk(2, 3), Chunk(3, 2)]))
    assert told(planned(waiting, fleet(edge(1, 3000))).decisions) == [(1, 2, 3, "e1"), (1, 3, 2, "e1"), (1, 4, 1, "e1")]


def test_what_a_gang_gives_back_is_found_by_those_whose_turn_it_is() -> None:
    ones = pending(1, chunks=2, group="b")
    gang = pending(2, chunks=3, group="a", together=True)
    found = planned(backlog(ones, gang), fleet(edge(1, 2_500)), order=FAIR_SHARE)
    assert told(found.decisions) == [(1, 0, 1, "e1"), (1, 1, 1, "e1")]


def test_a_limit_cuts_a_plan_short_and_the_next_goes_on() -> None:
    waiting, there, usage = backlog(pending(1, chunks=3), pending(2, chunks=3)), fleet(edge(1, 64_000)), Usage()
    first = planned(waiting, there, limit=2)
    assert told(first.decisions) == [(1, 0, 1, "e1"), (1, 1, 1, "e1")]
    assert first.has_more
    carried_out(first, waiting, there, usage)
    assert told(planned(waiting, there, limit=2).decisions) == [(1, 2, 1, "e1"), (2, 0, 1, "e1")]


def test_nothing_is_placed_where_there_is_nothing() -> None:
    assert planned(backlog(), fleet(edge(1))).decisions == []
    assert planned(backlog(pending(1)), fleet()).decisions == []
    bare = Edge(place(1), "s", {"tendril/site": "s"}, {})
    assert planned(backlog(pending(1)), fleet((bare, {}))).decisions == []


def test_a_decision_is_an_attempt_that_says_which_chunk_it_is() -> None:
    (decision,) = planned(backlog(pending(7, chunks=4, begun=3)), fleet(edge(1)), limit=1).decisions
    command = decision.command(job({"chunks": 4, "workWs": 100.0}))
    claim = claim_of(command.path)
    assert claim is not None
    assert (claim.owner, claim.index, claim.epoch) == (f"{7:032x}", 3, 1)
    spec = normal_spec(Attempt, command.body)
    assert (spec["index"], spec["count"], spec["workWs"]) == (3, 4, 25.0)


def test_a_job_without_what_waits_leaves_the_backlog() -> None:
    waiting = backlog(pending(1, chunks=2))
    waiting.put(pending(1, chunks=2, begun=2))
    assert len(waiting) == 0
    assert waiting.lines == {}


@pytest.mark.parametrize("resource", ["cpu", "memory", "power"])
def test_every_resource_counts(resource: str) -> None:
    short, free = edge(1)
    there = fleet((short, {**free, resource: 0}), edge(2))
    assert told(planned(backlog(pending(1)), there).decisions) == [(1, 0, 1, "e2")]


def test_gpus_and_countables_are_counted_by_name() -> None:
    asks = {"gpu/a100": 1, "count/licence": 2}
    other = edge(2, 8000, more={"gpu/t4": 4, "count/licence": 9})
    there = fleet(edge(1, 8000), other, edge(3, 8000, more={"gpu/a100": 2, "count/licence": 3}))
    assert told(planned(backlog(pending(1, chunks=4, asks=asks)), there).decisions) == [(1, 0, 1, "e3")]


_sizes = st.sampled_from([500, 1000, 3000])
_arrangements = st.sampled_from(
    [
        None,
        None,
        Arranged("pack", "edges"),
        Arranged("spread", "sites"),
        Arranged("apart", "edges"),
        Arranged("apart", "sites"),
    ]
)


@st.composite
def jobs(draw: st.DrawFn) -> list[PendingJob]:
    found = []
    for order in range(1, draw(st.integers(0, 7)) + 1):
        chunks = draw(st.integers(1, 6))
        begun = draw(st.integers(0, chunks))
        together = draw(st.booleans()) and not begun
        found.append(
            pending(
                order,
                chunks=chunks,
                cpu=draw(_sizes),
                begun=begun,
                retries=[Chunk(index, 2) for index in range(min(begun, draw(st.integers(0, 2))))],
                group=draw(st.sampled_from(["a", "b", "c"])),
                rank=draw(st.sampled_from([0.0, 1.0, 2.0])),
                room=None if together else draw(st.sampled_from([None, None, 1, 3])),
                arrangement=draw(_arrangements),
                together=together,
            )
        )
    return found


_edges = st.lists(st.tuples(st.integers(0, 8000), st.sampled_from(["s", "t"])), max_size=5).map(
    lambda rows: [edge(number, cpu, site=site) for number, (cpu, site) in enumerate(rows)]
)
_terms = st.fixed_dictionaries(
    {},
    optional={
        "a": st.builds(Terms, weight=st.sampled_from([1.0, 3.0]), quota=st.just({"cpu": 3000})),
        "b": st.builds(Terms, jobs=st.integers(1, 2)),
        "c": st.builds(Terms, paused=st.booleans()),
    },
)


@given(jobs(), _edges, _terms, st.integers(1, 20), st.sampled_from(POLICIES), st.sampled_from(ORDERS))
def test_a_plan_keeps_its_promises(
    waiting: list[PendingJob],
    free: list[tuple[Edge, Mapping[str, int]]],
    groups: Mapping[str, Terms],
    limit: int,
    policy: str,
    order: str,
) -> None:
    there = fleet(*free, policy=policy)
    found = planned(backlog(*waiting), there, groups=groups, order=order, limit=limit)
    again = planned(
        backlog(*reversed(waiting)), fleet(*reversed(free), policy=policy), groups=groups, order=order, limit=limit
    )
    assert told(found.decisions) == told(again.decisions), "one world has one plan"
    assert {one.path: dict(has) for one, has in free} == {path: dict(there.free(path)) for path in there.edges}, (
        "a draft"
    )
    used = Counter[tuple[str, str]]()
    by_job = Counter[int]()
    by_group = Counter[str]()
    for decision in found.decisions:
        by_job[decision.job.order] += 1
        for name, amount in decision.job.signature:
            used[decision.edge, name] += amount
            by_group[f"{decision.job.group} {name}"] += amount
    for known, has in free:
        assert all(used[known.path, name] <= amount for name, amount in has.items()), "never above what is free"
    for name, terms in groups.items():
        mine = {one.order for one in waiting if one.group == name} & by_job.keys()
        assert all(by_group[f"{name} {resource}"] <= amount for resource, amount in terms.quota.items())
        assert terms.jobs is None or len(mine) <= terms.jobs
        assert not (terms.paused and mine)
    for one in waiting:
        placed = [decision.chunk for decision in found.decisions if decision.job.order == one.order]
        assert placed == list(one.chunks())[: len(placed)], "a job's chunks go in their order, each once"
        assert len(placed) <= one.waiting
        assert not one.is_gang or len(placed) in (0, one.count), "all or nothing"
        if one.arrangement is not None and one.arrangement.chunks == "apart":
            over_edges = one.arrangement.over == "edges"
            where = [
                d.edge if over_edges else d.edge.split("/")[3] for d in found.decisions if d.job.order == one.order
            ]
            assert len(set(where)) == len(where), "never two on one"
    assert len(found.decisions) <= limit or len({d.job.order for d in found.decisions}) == 1, "a gang may be larger"
    _nobody_waits_for_nothing(waiting, free, groups, used, by_job, stopped=found.has_more)


def _nobody_waits_for_nothing(
    waiting: list[PendingJob],
    free: list[tuple[Edge, Mapping[str, int]]],
    groups: Mapping[str, Terms],
    used: Counter[tuple[str, str]],
    by_job: Counter[int],
    *,
    stopped: bool,
) -> None:
    if stopped:
        return
    left = [{name: amount - used[one.path, name] for name, amount in has.items()} for one, has in free]
    for one in waiting:
        free_to_go = one.group not in groups and one.arrangement is None and not one.is_gang
        if free_to_go and by_job[one.order] < one.waiting:
            fits = [all(has[name] >= amount for name, amount in one.signature) for has in left]
            assert not any(fits), "what waits fits nowhere"


@given(jobs(), _edges, _terms, st.sampled_from(POLICIES), st.sampled_from(ORDERS))
def test_what_was_placed_leaves_nothing_to_do(
    waiting: list[PendingJob],
    free: list[tuple[Edge, Mapping[str, int]]],
    groups: Mapping[str, Terms],
    policy: str,
    order: str,
) -> None:
    queue, there, usage = backlog(*waiting), fleet(*free, policy=policy), Usage()
    for _ in range(50):
        found = planned(queue, there, usage=usage, groups=groups, order=order)
        if not found.decisions:
            break
        carried_out(found, queue, there, usage)
    assert planned(queue, there, usage=usage, groups=groups, order=order).decisions == []
    assert len(usage) == 0 or usage.of_group("none") == {}
