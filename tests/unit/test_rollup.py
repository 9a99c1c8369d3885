"""A job's status from its ledger, and its outputs from its chunks'."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.ledger import Totals
from datamodel.merge import merged
from datamodel.node import Node
from datamodel.parts import check_status, normal_spec
from datamodel.scheduling.jobs import Job
from reconcilers.planning import rollup as planning
from reconcilers.planning.failing import Failures
from reconcilers.planning.rollup import OUTPUTS_LIMIT_BYTES, Reduction, phase_of
from tests.graph import JOBS, STEPS

NOW = datetime(2030, 1, 1, tzinfo=UTC)
LATER = datetime(2030, 1, 2, tzinfo=UTC)


def job(status: dict[str, Any] | None = None, *, chunks: int = 4, intent: str = "run", **spec: Any) -> Node:
    return Node(
        path=f"{JOBS}/j",
        uid="1" * 32,
        kind="Job",
        labels={},
        spec=normal_spec(Job, {"steps": STEPS, "chunks": chunks, "intent": intent, **spec}),
        status=status or {},
        links={},
        finalizers=(),
        generation=2,
        version=7,
        created_version=7,
        created_at=NOW,
    )


def totals(progress: int = 0, **phases: int) -> Totals:
    return Totals(phases=phases, progress=progress)


def rollup(job: Node, counted: Totals, reduction: Reduction | None, now: datetime) -> dict[str, Any]:
    phase = phase_of(job, counted, has_failed=bool(counted.phases.get("failed")))
    return planning.rollup(job, counted, phase, reduction, now)


@pytest.mark.parametrize(
    ("before", "counted", "phase"),
    [
        ("pending", totals(), "pending"),
        ("pending", totals(placed=4), "pending"),
        ("pending", totals(placed=1, running=1), "running"),
        ("pending", totals(retry=1), "running"),
        ("running", totals(placed=1), "running"),
        ("running", totals(succeeded=3, running=1), "running"),
        ("running", totals(succeeded=4), "succeeded"),
        ("pending", totals(succeeded=4), "succeeded"),
        ("running", totals(failed=1, running=1), "running"),
        ("running", totals(failed=1, placed=1), "running"),
        ("running", totals(failed=1, retry=1, succeeded=1), "failed"),
        ("running", totals(failed=1, aborted=1), "failed"),
        ("running", totals(aborted=1, succeeded=3), "running"),
        ("failed", totals(failed=1, succeeded=3), "failed"),
        ("succeeded", totals(), "succeeded"),
    ],
)
def test_the_phase(before: str, counted: Totals, phase: str) -> None:
    failed = bool(counted.phases.get("failed"))
    assert phase_of(job({"phase": before}), counted, has_failed=failed) == phase


@pytest.mark.parametrize(
    ("before", "counted", "phase"),
    [
        ("pending", totals(), "aborted"),
        ("running", totals(aborted=1, running=1), "running"),
        ("running", totals(aborted=1, succeeded=3), "aborted"),
        ("running", totals(retry=2), "aborted"),
        ("running", totals(failed=1, aborted=1), "failed"),
        ("running", totals(succeeded=4), "succeeded"),
        ("failed", totals(aborted=1), "failed"),
    ],
)
def test_what_is_aborted_has_ended_once_nothing_of_it_is_in_flight(before: str, counted: Totals, phase: str) -> None:
    failed = bool(counted.phases.get("failed"))
    assert phase_of(job({"phase": before}, intent="abort"), counted, has_failed=failed) == phase


@pytest.mark.parametrize(
    ("intent", "counted", "has_failed", "phase"),
    [
        ("run", totals(failed=1, aborted=1), False, "running"),
        ("run", totals(failed=1), True, "failed"),
        ("run", totals(), False, "pending"),
        ("suspend", totals(failed=1), False, "failed"),
    ],
)
def test_what_had_failed_goes_on_where_it_may_fail_more_often(
    intent: str, counted: Totals, *, has_failed: bool, phase: str
) -> None:
    assert phase_of(job({"phase": "failed"}, intent=intent), counted, has_failed=has_failed) == phase


ENDING = {"phase": "failed", "reason": "DeadlineExceeded", "message": "it had not ended after 5 s"}


@pytest.mark.parametrize(
    ("counted", "phase"),
    [
        (totals(), "failed"),
        (totals(placed=1, succeeded=1), "running"),
        (totals(succeeded=1, aborted=2), "failed"),
        (totals(succeeded=4), "succeeded"),
    ],
)
def test_what_is_decided_of_its_end_holds_once_nothing_is_in_flight(counted: Totals, phase: str) -> None:
    before = job({"phase": "running", "ending": ENDING})
    status = rollup(before, counted, None, NOW)
    assert status["phase"] == phase
    told = next(one for one in status["conditions"] if one["type"] == "Complete")
    if phase == "succeeded":
        assert "ending" not in status
        assert told["reason"] == "Succeeded"
    else:
        assert status["ending"] == ENDING
        assert (told["reason"], told["message"]) == ("DeadlineExceeded", "it had not ended after 5 s")
        assert told["status"] == ("True" if phase == "failed" else "False")


@pytest.mark.parametrize(
    ("counted", "before", "after"),
    [
        (totals(succeeded=2, running=2), "running", "running"),
        (totals(succeeded=3, running=1), "running", "running"),
        (totals(succeeded=3), "running", "succeeded"),
        (totals(succeeded=3, aborted=1), "running", "succeeded"),
        (totals(succeeded=4), "succeeded", "succeeded"),
    ],
)
def test_enough_chunks_have_succeeded(counted: Totals, before: str, after: str) -> None:
    """That is told first, and then it ends: who places its chunks just now has time to hear of it."""
    status: dict[str, Any] = {"phase": "running"}
    for phase in (before, after):
        status = rollup(job(status, completion={"succeedAfter": 3}), counted, None, NOW)
        assert status["phase"] == phase
    is_enough = counted.phases["succeeded"] >= 3
    assert ("ending" in status) == is_enough
    if is_enough:
        assert status["ending"]["reason"] == "EnoughSucceeded"
        assert status["conditions"][0]["message"].endswith("of 4 chunks have succeeded, and 3 are enough")


def test_the_end_of_a_job_that_is_decided_stays_as_it_is() -> None:
    first = rollup(job({"phase": "running"}, completion={"succeedAfter": 2}), totals(succeeded=2, running=2), None, NOW)
    later = rollup(job(first, completion={"succeedAfter": 2}), totals(succeeded=3, running=1), None, LATER)
    assert later["ending"] == first["ending"]


@pytest.mark.parametrize(
    ("counted", "allowed", "phase"),
    [
        (totals(succeeded=3, failed=1), 1, "succeeded"),
        (totals(succeeded=2, failed=1), 0, "running"),
        (totals(succeeded=3, failed=1), 0, "running"),
        (totals(succeeded=2, failed=1, running=1), 0, "running"),
    ],
)
def test_chunks_that_may_fail_keep_a_job_from_nothing(counted: Totals, allowed: int, phase: str) -> None:
    """Of four with one that is tried again after all, since the retries were raised, none has failed for good."""
    lenient = job({"phase": "running"}, completion={"maxFailedChunks": 1})
    assert phase_of(lenient, counted, has_failed=False, allowed=allowed) == phase
    if phase == "succeeded":
        told = planning.rollup(lenient, counted, phase, None, NOW)["conditions"][0]
        assert (told["reason"], told["message"]) == ("Succeeded", "1 of 4 chunks failed, as allowed")


def test_one_that_goes_on_remembers_when_and_what_had_failed_by_then() -> None:
    failed = job({"phase": "failed", "ending": ENDING, "finishedAt": NOW.isoformat()})
    again = planning.rollup(failed, totals(failed=1), "running", None, LATER, Failures(again=2, all=3))
    assert again["retried"] == {"at": LATER.isoformat(), "failures": 3}
    assert "ending" not in again
    assert planning.rollup(job(again), totals(retry=1), "running", None, LATER)["retried"] == again["retried"]


def test_why_it_failed_is_told() -> None:
    strict = job({"phase": "running"}, retryPolicy={"budget": 1})
    status = planning.rollup(strict, totals(retry=1), "failed", None, NOW, Failures(again=2, all=2))
    assert status["conditions"][0]["reason"] == "RetryBudgetSpent"


def test_what_goes_on_has_not_finished() -> None:
    failed = rollup(job(), totals(failed=1, succeeded=3), None, NOW)
    again = planning.rollup(job(failed), totals(failed=1, succeeded=3), "running", None, LATER)
    assert "finishedAt" in failed
    assert "finishedAt" not in again
    assert again["startedAt"] == failed["startedAt"]
    assert again["conditions"][0]["status"] == "False"


def test_who_is_suspended_says_so() -> None:
    (complete,) = rollup(job(intent="suspend"), totals(retry=2), None, NOW)["conditions"]
    assert (complete["status"], complete["reason"]) == ("False", "Suspended")


def test_a_new_job_is_pending() -> None:
    status = rollup(job(), totals(), None, NOW)
    assert status["phase"] == "pending"
    assert status["chunks"] == {"pending": 4}
    assert status["observedGeneration"] == 2
    assert "startedAt" not in status


def test_percent_is_weighted_by_the_chunks_shares() -> None:
    status = rollup(job(), totals(1500, succeeded=1, running=1, retry=1), None, NOW)
    assert status["percentCompleted"] == 37.5
    assert status["chunks"] == {"succeeded": 1, "running": 1, "retrying": 1, "pending": 1}
    assert status["startedAt"] == NOW.isoformat()


def test_a_finished_job_says_so_and_keeps_its_times() -> None:
    running = rollup(job(), totals(running=4), None, NOW)
    done = rollup(job(running), totals(4000, succeeded=4), Reduction({}), LATER)
    assert (done["phase"], done["percentCompleted"]) == ("succeeded", 100.0)
    assert (done["startedAt"], done["finishedAt"]) == (NOW.isoformat(), LATER.isoformat())
    (complete,) = done["conditions"]
    assert (complete["type"], complete["status"], complete["reason"]) == ("Complete", "True", "Succeeded")
    assert complete["lastTransitionTime"] == LATER.isoformat()


counts = st.dictionaries(
    st.sampled_from(["placed", "running", "retry", "succeeded", "failed", "aborted"]), st.integers(1, 3), max_size=4
)


@given(counts, counts)
def test_a_status_fits_its_kind_and_the_same_ledger_gives_the_same(
    first: dict[str, int], second: dict[str, int]
) -> None:
    status: dict[str, Any] = {}
    for phases in (first, second):
        counted = Totals(phases=phases, progress=0)
        status = rollup(job(status, chunks=12), counted, None, NOW)
        check_status(Job, status)
        assert rollup(job(status, chunks=12), counted, None, LATER) == status
        assert merged(status, status) == status


def reduced(declared: dict[str, str], *outputs: dict[str, Any]) -> Reduction:
    reduction = Reduction(declared)
    for index, one in enumerate(outputs):
        reduction.add(index, one)
    return reduction


def test_reductions() -> None:
    declared = {"n": "sum", "all": "collect", "by": "merge"}
    first = {"n": 1, "all": "a", "by": {"x": 1, "y": 1}, "undeclared": 1}
    found = reduced(declared, first, {"n": 2.5, "all": None, "by": {"y": 2}}, {})
    assert found.problems == []
    assert found.result() == {"n": 3.5, "all": ["a", None], "by": {"x": 1, "y": 2}}
    assert found.problems == [f"2 of 3 chunks have left {name}" for name in declared]


def test_what_all_chunks_have_left_is_no_problem() -> None:
    found = reduced({"n": "sum", "all": "collect"}, {"n": 1, "all": 1}, {"n": 2, "all": 2})
    assert (found.result(), found.problems) == ({"n": 3, "all": [1, 2]}, [])


@pytest.mark.parametrize(("first", "second"), [(1e308, 1e308), (10**400, 0.5), (-1e308, -1e308)])
def test_a_sum_that_no_number_can_hold_is_named(first: float, second: float) -> None:
    found = reduced({"n": "sum"}, {"n": first}, {"n": second}, {"n": 1})
    assert found.problems[0] == "chunk 1: n cannot be reduced by sum"
    assert len(found.problems) <= 2


@pytest.mark.parametrize(("how", "value"), [("sum", "1"), ("sum", True), ("sum", None), ("merge", [1]), ("merge", 1)])
def test_what_does_not_fit_is_left_out_and_named(how: str, value: Any) -> None:
    found = reduced({"n": how}, {"n": value})
    assert found.result() == {}
    assert found.problems == [f"chunk 0: n cannot be reduced by {how}"]


def test_problems_are_bounded() -> None:
    assert len(reduced({"n": "sum"}, *({"n": "x"} for _ in range(100))).problems) == 10


def test_outputs_that_are_too_large_are_named_and_not_kept() -> None:
    found = reduced({"all": "collect"}, {"all": "x" * OUTPUTS_LIMIT_BYTES})
    status = rollup(job(), totals(succeeded=4), found, NOW)
    assert status["outputs"] == {}
    problem = next(one for one in status["conditions"] if one["type"] == "OutputsReduced")
    assert (problem["status"], problem["reason"]) == ("False", "Incomplete")
    assert str(OUTPUTS_LIMIT_BYTES) in problem["message"]


@pytest.mark.parametrize(
    ("intent", "counted", "counts"),
    [
        ("abort", totals(retry=3), {"pending": 1, "aborted": 3}),
        ("abort", totals(retry=1, aborted=1, running=1), {"pending": 1, "aborted": 2, "running": 1}),
        ("run", totals(retry=1, failed=1), {"pending": 2, "aborted": 1, "failed": 1}),
        ("run", totals(retry=1, running=1), {"pending": 2, "retrying": 1, "running": 1}),
        ("suspend", totals(retry=4), {"retrying": 4}),
    ],
)
def test_what_waits_for_a_new_attempt_is_aborted_once_none_will_come(
    intent: str, counted: Totals, counts: dict[str, int]
) -> None:
    assert rollup(job(intent=intent), counted, None, NOW)["chunks"] == counts
