"""Placement's plan: never more than is free, first come first served, and nobody waits for somebody else's lack of room."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.parts import normal_spec
from datamodel.scheduling.attempts import Attempt, claim_of
from datamodel.scheduling.jobs import Job
from reconcilers.planning.backlog import Backlog, Chunk, PendingJob, signature_of
from reconcilers.planning.placement import Decision, FreeEdge, attempt_spec, plan
from tests.graph import STEPS

MIB = 2**20


def job(order: int, *, chunks: int = 1, cpu: float = 1.0, begun: int = 0, retries: Sequence[Chunk] = ()) -> PendingJob:
    requests = {"cpu": cpu, "memoryBytes": MIB, "powerW": 1.0}
    spec = normal_spec(Job, {"chunks": chunks, "steps": STEPS, "requests": requests, "workWs": 100.0})
    path = f"/config/job-groups/default/jobs/j{order}"
    return PendingJob(path, f"{order:032x}", order, spec, signature_of(spec), begun, tuple(retries))


def backlog(*jobs: PendingJob) -> Backlog:
    waiting = Backlog()
    for one in jobs:
        waiting.put(one)
    return waiting


def edge(number: int, cpu: int = 1000, **free: int) -> FreeEdge:
    return FreeEdge(
        f"/desired-config/sites/s/edges/e{number}", {"cpu": cpu, "memory": 100 * MIB, "power": 100_000, **free}
    )


def placed(decisions: Sequence[Decision]) -> list[tuple[int, int, int, str]]:
    return [(d.job.order, d.chunk.index, d.chunk.epoch, d.edge.rpartition("/")[2]) for d in decisions]


def test_chunks_fill_the_first_edge_first() -> None:
    decisions = plan(backlog(job(1, chunks=5)), [edge(1, 2000), edge(2, 2000)], 100)
    assert placed(decisions) == [(1, 0, 1, "e1"), (1, 1, 1, "e1"), (1, 2, 1, "e2"), (1, 3, 1, "e2")]


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
    one = replace(job(1), spec=normal_spec(Job, asked))
    told = normal_spec(Attempt, attempt_spec(one, Chunk(0, 1)))
    assert (told["limits"], told["network"]) == (limits, "bridge")
    assert "labels" not in attempt_spec(one, Chunk(0, 1))
    labels = {"kueue.x-k8s.io/queue-name": "night"}
    assert normal_spec(Attempt, attempt_spec(replace(one, labels=labels), Chunk(0, 1)))["labels"] == labels
    assert "annotations" not in told
    annotated = replace(job(1), spec=normal_spec(Job, {**asked, "annotations": {"example.com/a": "b c"}}))
    assert normal_spec(Attempt, attempt_spec(annotated, Chunk(0, 1)))["annotations"] == {"example.com/a": "b c"}
    assert told["requests"]["gpus"] == {"count": 2, "driver": "nvidia"}
    assert told["steps"][0] == {**step, "command": [], "env": {}}


def test_a_job_of_before_there_were_limits_and_networks_is_placed() -> None:
    before = {name: value for name, value in job(1).spec.items() if name != "network"}
    assert normal_spec(Attempt, attempt_spec(replace(job(1), spec=before), Chunk(0, 1)))["network"] == "none"


def test_jobs_are_served_in_order_of_arrival_whatever_they_ask_for() -> None:
    waiting = backlog(job(3), job(1, cpu=2.0), job(2))
    assert [one[0] for one in placed(plan(waiting, [edge(1, 8000)], 100))] == [1, 2, 3]


def test_a_job_that_fits_nowhere_keeps_nobody_waiting() -> None:
    waiting = backlog(job(1, cpu=64.0, chunks=3), job(2), job(3, cpu=64.0), job(4))
    assert [one[0] for one in placed(plan(waiting, [edge(1, 8000)], 100))] == [2, 4]


def test_retries_come_before_what_was_never_placed() -> None:
    waiting = backlog(job(1, chunks=9, begun=4, retries=[Chunk(2, 3), Chunk(3, 2)]))
    assert placed(plan(waiting, [edge(1, 3000)], 100)) == [(1, 2, 3, "e1"), (1, 3, 2, "e1"), (1, 4, 1, "e1")]


def test_a_limit_cuts_a_plan_short_and_the_next_goes_on() -> None:
    waiting, edges = backlog(job(1, chunks=3), job(2, chunks=3)), [edge(1, 64_000)]
    first = plan(waiting, edges, 2)
    assert placed(first) == [(1, 0, 1, "e1"), (1, 1, 1, "e1")]
    waiting.put(first[0].job.without([decision.chunk for decision in first]))
    assert placed(plan(waiting, edges, 2)) == [(1, 2, 1, "e1"), (2, 0, 1, "e1")]


def test_nothing_is_placed_where_there_is_nothing() -> None:
    assert plan(backlog(), [edge(1)], 100) == []
    assert plan(backlog(job(1)), [], 100) == []
    assert plan(backlog(job(1)), [FreeEdge("/desired-config/sites/s/edges/e", {})], 100) == []


def test_a_decision_is_an_attempt_that_says_which_chunk_it_is() -> None:
    (decision,) = plan(backlog(job(7, chunks=4, begun=3)), [edge(1)], 1)
    command = decision.command()
    claim = claim_of(command.path)
    assert claim is not None
    assert (claim.owner, claim.index, claim.epoch) == (f"{7:032x}", 3, 1)
    spec = normal_spec(Attempt, command.body)
    assert (spec["index"], spec["count"], spec["workWs"]) == (3, 4, 25.0)
    assert command.links == {"job": (decision.job.path,)}


def test_a_job_without_what_waits_leaves_the_backlog() -> None:
    waiting = backlog(job(1, chunks=2))
    waiting.put(job(1, chunks=2, begun=2))
    assert len(waiting) == 0
    assert waiting.groups() == []


@pytest.mark.parametrize("resource", ["cpu", "memory", "power"])
def test_every_resource_counts(resource: str) -> None:
    lacking: dict[str, Any] = {resource: 0}
    short = FreeEdge("/desired-config/sites/s/edges/e1", {**edge(1).free, **lacking})
    assert placed(plan(backlog(job(1)), [short, edge(2)], 9)) == [(1, 0, 1, "e2")]


jobs = st.lists(st.tuples(st.integers(1, 6), st.sampled_from([0.5, 1.0, 3.0]), st.integers(0, 2)), max_size=6).map(
    lambda rows: [
        job(
            order,
            chunks=chunks,
            cpu=cpu,
            begun=min(begun, chunks),
            retries=[Chunk(i, 2) for i in range(min(begun, chunks))],
        )
        for order, (chunks, cpu, begun) in enumerate(rows, start=1)
    ]
)
edges = st.lists(st.integers(0, 8000), max_size=4).map(lambda free: [edge(n, cpu) for n, cpu in enumerate(free)])


@given(jobs, edges, st.integers(0, 20))
def test_a_plan_keeps_its_promises(waiting: list[PendingJob], free: list[FreeEdge], limit: int) -> None:
    decisions = plan(backlog(*waiting), free, limit)
    assert placed(decisions) == placed(plan(backlog(*reversed(waiting)), free, limit)), "same snapshot, same plan"
    assert len(decisions) <= limit
    used = Counter[tuple[str, str]]()
    for decision in decisions:
        for name, amount in decision.job.signature:
            used[decision.edge, name] += amount
    for place in free:
        assert all(used[place.path, name] <= amount for name, amount in place.free.items()), "never above what is free"
    chosen = [(decision.job.order, decision.chunk) for decision in decisions]
    assert len(set(chosen)) == len(chosen), "a chunk is placed once"
    for one in waiting:
        mine = [chunk for order, chunk in chosen if order == one.order]
        assert mine == list(one.chunks())[: len(mine)], "a job's chunks go in their order"
    if len(decisions) < limit:
        left = {
            place.path: {name: amount - used[place.path, name] for name, amount in place.free.items()} for place in free
        }
        for one in waiting:
            if sum(order == one.order for order, _ in chosen) < len(list(one.chunks())):
                fits = [all(has[name] >= amount for name, amount in one.signature) for has in left.values()]
                assert not any(fits), "what waits fits nowhere"
