"""How many chunks a job has: what is accepted of it, what it comes to, and that it is settled once."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.command import Command
from datamodel.errors import Conflict, Invalid
from datamodel.kinds import Document
from datamodel.ledger import Totals
from datamodel.node import Node
from datamodel.parts import named_spec, normal_spec
from datamodel.scheduling.attempts import Attempt
from datamodel.scheduling.counts import chunk_counts
from datamodel.scheduling.ending import failures_allowed
from datamodel.scheduling.jobs import Job
from datamodel.scheduling.placing import Rules
from datamodel.scheduling.schedules import Schedule
from datamodel.scheduling.splitting import array_index, chunks_at_most, chunks_of, is_split, most_chunks
from reconcilers.planning.backlog import Arranged, Chunk, PendingJob, Ranking
from reconcilers.planning.decisions import attempt_spec
from reconcilers.planning.turns import Terms
from tests.graph import STEPS, SYSTEM, done, memory_store, new_job, present, refusal, send
from tests.placing import backlog, edge, fleet, pending, planned

AT = datetime(2026, 1, 31, tzinfo=UTC)
SPLIT: Document = {"maxChunks": 8, "workWs": 100.0}


def job(status: Document | None = None, **spec: Any) -> Node:
    stored = normal_spec(Job, {"steps": STEPS, **spec})
    path = "/config/job-groups/default/jobs/j"
    return Node(path, f"{7:032x}", "Job", {}, stored, status or {}, {}, (), 1, 9, 9, AT)


@pytest.mark.parametrize(
    ("spec", "field", "said"),
    [
        ({"maxChunks": 0, "workWs": 1.0}, "/spec/maxChunks", "greater than or equal to 1"),
        ({"maxChunks": 1_000_001, "workWs": 1.0}, "/spec/maxChunks", "1000000"),
        ({"maxChunks": 4}, "/spec", "maxChunks needs workWs above 0"),
        ({**SPLIT, "chunks": 1}, "/spec/chunks", "chunks and maxChunks both say"),
        ({**SPLIT, "array": "0-7"}, "/spec/maxChunks", "array and maxChunks both say"),
        ({"minChunkWs": 1.0}, "/spec/minChunkWs", "for a job with maxChunks"),
        ({**SPLIT, "minChunkWs": 0}, "/spec/minChunkWs", "greater than 0"),
        ({"array": "0-7", "chunks": 7}, "/spec/chunks", "the array has 8 indices"),
        ({"array": "0-7,3"}, "/spec/array", "the index 3 is in it twice"),
        ({"array": "0-7%0"}, "/spec/array", "after % comes how many"),
        ({"array": ""}, "/spec/array", "at least 1 character"),
        ({"array": 7}, "/spec/array", "valid string"),
        ({"array": "0-7%2", "maxParallel": 2}, "/spec/array", "by % and by maxParallel: say it once"),
        ({"chunks": None}, "/spec/chunks", "leave it away for 1"),
        ({**SPLIT, "maxChunks": 1_001, "allOrNothing": True}, "/spec", "1000 chunks at most, and these are 1001"),
        ({**SPLIT, "maxParallel": 7, "allOrNothing": True}, "/spec", "or maxParallel of them, not both"),
        ({"array": "0-7%2", "allOrNothing": True}, "/spec", "or maxParallel of them, not both"),
        ({**SPLIT, "completion": {"maxFailedChunks": 8}}, "/spec", "below the number of chunks, which is 8"),
        ({"array": "0-7", "completion": {"succeedAfter": 9}}, "/spec", "more than the number of chunks, which is 8"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(spec: Document, field: str, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        job(**spec)
    assert [place for place, _ in refused.value.details] == [field]
    assert said in refused.value.message


def test_an_array_is_kept_as_what_it_comes_to_and_may_be_sent_again() -> None:
    stored = job(array="0-31:2%4").spec
    assert (stored["array"], stored["chunks"], stored["maxParallel"]) == ("0-31:2", 16, 4)
    assert normal_spec(Job, stored) == stored
    assert normal_spec(Job, stored | {"maxParallel": 8})["maxParallel"] == 8
    named = named_spec(Job, {"steps": STEPS, "array": "0-31:2%4"})
    assert named == {"steps": named["steps"], "array": "0-31:2", "maxParallel": 4}
    assert named_spec(Job, {"steps": STEPS}) == {"steps": named["steps"]}, "who names no number leaves it as it is"
    planned_by = normal_spec(Schedule, {"cron": "* * * * *", "job": {"steps": STEPS, "array": "1,5%1"}})["job"]
    assert (planned_by["array"], planned_by["chunks"], planned_by["maxParallel"]) == ("1,5", 2, 1)
    assert normal_spec(Job, {name: value for name, value in planned_by.items() if name != "labels"})["chunks"] == 2


def test_a_job_counts_as_one_chunk_until_it_is_split() -> None:
    plain, unsplit, split = job(chunks=5), job(**SPLIT), job({"split": {"chunks": 3}}, **SPLIT)
    assert [chunks_of(one) for one in (plain, unsplit, split)] == [5, 1, 3]
    assert [chunks_at_most(one) for one in (plain, unsplit, split)] == [5, 8, 3]
    assert [is_split(one) for one in (plain, unsplit, split)] == [True, False, True]
    assert "chunks" not in unsplit.spec
    assert chunk_counts(unsplit, "", Totals()) == {"pending": 1}
    assert chunk_counts(unsplit, "", Totals({"placed": 3})) == {"placed": 3}, "what was read later knows more"


def test_of_a_split_job_never_all_chunks_may_fail() -> None:
    spec = {**SPLIT, "completion": {"maxFailedChunks": 5}}
    assert [failures_allowed(job({"split": {"chunks": n}}, **spec)) for n in (8, 6, 5, 1)] == [5, 5, 4, 0]


@pytest.mark.parametrize(("least_ws", "most"), [(None, 8), (1.0, 8), (12.5, 8), (12.6, 7), (99.0, 1), (101.0, 1)])
def test_no_chunk_has_less_of_the_work_than_it_says(least_ws: float | None, most: int) -> None:
    asked: Document = {} if least_ws is None else {"minChunkWs": least_ws}
    assert most_chunks(job(**SPLIT, **asked).spec) == most


def test_an_attempt_is_told_its_number_its_share_and_its_own_index() -> None:
    told = normal_spec(Attempt, attempt_spec(job(**SPLIT), Chunk(2, 1), 4))
    assert (told["index"], told["count"], told["workWs"], "arrayIndex" in told) == (2, 4, 25.0, False)
    array = job(array="7,10-20:5")
    assert [array_index(array, chunk) for chunk in range(4)] == [7, 10, 15, 20]
    assert normal_spec(Attempt, attempt_spec(array, Chunk(3, 1), 4))["arrayIndex"] == 20


def test_what_waits_knows_whether_it_is_to_be_split() -> None:
    def waiting(one: Node) -> PendingJob:
        return PendingJob.of(one, 0, (), ranking=Ranking(), group={})

    assert (waiting(job(**SPLIT)).most, waiting(job(**SPLIT)).waiting) == (8, 1)
    assert (waiting(job({"split": {"chunks": 3}}, **SPLIT)).most, waiting(job(chunks=3)).most) == (None, None)


@given(
    free=st.lists(st.integers(0, 9), min_size=1, max_size=6),
    most=st.integers(1, 40),
    room=st.none() | st.integers(1, 9),
    quota=st.none() | st.integers(1, 9),
    lie=st.sampled_from([None, Arranged("pack", "edges"), Arranged("spread", "sites"), Arranged("apart", "edges")]),
    policy=st.sampled_from(["firstFit", "bestFit", "spread", "powerAware"]),
    together=st.booleans(),
)
def test_it_is_split_into_what_can_be_placed_at_once(
    free: list[int],
    most: int,
    room: int | None,
    quota: int | None,
    lie: Arranged | None,
    policy: str,
    *,
    together: bool,
) -> None:
    """As many as there is room for, and all of them are placed: so none of them waits, and none more could be."""
    edges = [edge(number, 1000 * cpu + 1) for number, cpu in enumerate(free)]
    one = pending(1, most=most, room=room, arrangement=lie, together=together and room is None)
    groups = {} if quota is None else {"default": Terms(quota={"cpu": 1000 * quota})}
    found = planned(backlog(one), fleet(*edges, policy=policy), groups=groups)
    is_apart = lie is not None and lie.chunks == "apart"
    fits = sum(min(1, cpu) if is_apart else cpu for cpu in free)
    due = min(bound for bound in (fits, most, room, quota) if bound is not None)
    assert len(found.decisions) == due
    assert {(decision.job.count, decision.job.most) for decision in found.decisions} == (
        {(due, most)} if due else set()
    )
    assert [decision.chunk for decision in found.decisions] == [Chunk(index, 1) for index in range(due)]


def test_it_is_split_over_edges_that_suit_its_rules_only() -> None:
    edges = fleet(edge(1, 4000), edge(2, 3000, labels={"disk": "ssd"}))
    found = planned(backlog(pending(1, most=9, rules=Rules(required="disk=ssd"))), edges)
    assert {decision.job.count for decision in found.decisions} == {3}


def test_in_a_round_it_leaves_others_what_its_bounds_leave() -> None:
    waiting = backlog(pending(1, most=3), pending(2, most=9), pending(3, most=9))
    found = planned(waiting, fleet(edge(1, 5000)))
    assert [(decision.job.order, decision.job.count) for decision in found.decisions] == [(1, 3)] * 3 + [(2, 2)] * 2
    assert [blocked.job.order for blocked in found.blocked] == [3]


async def test_what_was_chosen_stays_whoever_writes() -> None:
    store = memory_store()
    await done(store, Command("apply", "/config"), Command("apply", "/config/job-groups/default"))
    path = (await new_job(store, **SPLIT)).path
    await done(store, Command("patchStatus", path, {"split": {"chunks": 3}}), actor=SYSTEM)
    for change in ({"split": {"chunks": 4}}, {"split": None}):
        outcome = await send(store, Command("patchStatus", path, change), actor=SYSTEM)
        assert (refusal(outcome), outcome[0].error and outcome[0].error.field) == (Conflict, "/status/split")
    await done(store, Command("patchStatus", path, {"phase": "running", "split": {"chunks": 3}}), actor=SYSTEM)
    assert (await present(store, path)).status == {"split": {"chunks": 3}, "phase": "running"}
