"""What a job says of how its failures are tried again: what it may say, how long the pauses are, what exit codes mean."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.errors import Invalid
from datamodel.ledger import Entry
from datamodel.node import Node
from datamodel.parts import normal_spec
from datamodel.ports import Placement
from datamodel.scheduling.attempts import PLACED, RETRY
from datamodel.scheduling.jobs import ABORTED, FAILED, RUNNING, SUCCEEDED, Job
from datamodel.scheduling.retrying import PAUSE_LIMIT_S, SPREAD, ignored, pause_s
from datamodel.scheduling.tries import is_final, rest_s
from reconcilers.planning.failing import Failures, has_failed, spent, why_failed
from tests.graph import JOBS, STEPS

NOW = datetime(2030, 1, 1, tzinfo=UTC)
OWNER = "1" * 32
RULES: list[dict[str, Any]] = [
    {"codes": [7], "action": "fail"},
    {"ranges": [{"first": 1, "last": 9}], "action": "ignore"},
]


def job(status: dict[str, Any] | None = None, **spec: Any) -> Node:
    return Node(
        path=f"{JOBS}/j",
        uid=OWNER,
        kind="Job",
        labels={},
        spec=normal_spec(Job, {"steps": STEPS, "chunks": 10, **spec}),
        status=status or {},
        links={},
        finalizers=(),
        generation=1,
        version=7,
        created_version=7,
        created_at=NOW,
    )


def attempt(phase: str = FAILED, **status: Any) -> Node:
    """One that was placed a minute before now, of a job with two retries."""
    spec = {"retries": 2, "exitCodes": RULES}
    path = f"/desired-config/sites/s/edges/e/attempts/{OWNER}-0-1"
    made = NOW - timedelta(seconds=60)
    return Node(path, "2" * 32, "Attempt", {}, spec, {"phase": phase, **status}, {}, (), 1, 8, 8, made)


def entry(phase: str = RETRY, failures: int = 1) -> Entry:
    return Entry(OWNER, 0, failures, phase, attempt().path, failures=failures)


@pytest.mark.parametrize(
    ("spec", "pointer"),
    [
        ({"retryPolicy": {"backoffS": 0}}, "/spec/retryPolicy/backoffS"),
        ({"retryPolicy": {"backoffS": 1e9}}, "/spec/retryPolicy/backoffS"),
        ({"retryPolicy": {"backoffS": 1, "backoffFactor": 0.5}}, "/spec/retryPolicy/backoffFactor"),
        ({"retryPolicy": {"backoffMaxS": 5}}, "/spec/retryPolicy"),
        ({"retryPolicy": {"backoffS": 10, "backoffMaxS": 5}}, "/spec/retryPolicy"),
        ({"retryPolicy": {"budget": -1}}, "/spec/retryPolicy/budget"),
        ({"retryPolicy": {"exitCodes": []}}, "/spec/retryPolicy/exitCodes"),
        ({"retryPolicy": {"exitCodes": [{"action": "fail"}]}}, "/spec/retryPolicy/exitCodes/0"),
        ({"retryPolicy": {"exitCodes": [{"codes": [0], "action": "fail"}]}}, "/spec/retryPolicy/exitCodes/0/codes/0"),
        ({"retryPolicy": {"exitCodes": [{"codes": [1], "action": "stop"}]}}, "/spec/retryPolicy/exitCodes/0/action"),
        (
            {"retryPolicy": {"exitCodes": [{"ranges": [{"first": 9, "last": 3}], "action": "fail"}]}},
            "/spec/retryPolicy/exitCodes/0/ranges/0",
        ),
        ({"completion": {"maxFailedChunks": 10}}, "/spec"),
        ({"completion": {"succeedAfter": 11}}, "/spec"),
        ({"completion": {"succeedAfter": 0}}, "/spec/completion/succeedAfter"),
        ({"deadlines": {"jobS": 0}}, "/spec/deadlines/jobS"),
        ({"deadlines": {"queueS": 1e12}}, "/spec/deadlines/queueS"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(spec: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        job(**spec)
    assert pointer in {refused.value.field, *(place for place, _ in refused.value.details)}


def test_what_a_job_does_not_say_is_not_stored() -> None:
    assert not {"retryPolicy", "completion", "deadlines"} & job().spec.keys()
    assert job(retryPolicy={"backoffS": 2}).spec["retryPolicy"] == {"backoffS": 2.0, "backoffFactor": 2.0}


policies = st.fixed_dictionaries(
    {"backoffS": st.floats(0.1, 1e4), "backoffFactor": st.floats(1, 10)},
    optional={"backoffMaxS": st.floats(1e4, PAUSE_LIMIT_S)},
)


@given(policies, st.integers(0, 10**6), st.integers(1, 10_000))
def test_pauses_grow_and_are_bounded_and_always_the_same(policy: dict[str, float], index: int, failures: int) -> None:
    pause = pause_s(policy, OWNER, index, failures)
    assert pause == pause_s(policy, OWNER, index, failures)
    assert policy["backoffS"] * (1 - SPREAD) <= pause <= policy.get("backoffMaxS", PAUSE_LIMIT_S)
    unbounded = policy["backoffS"] * policy["backoffFactor"] ** min(failures - 1, 20)
    assert pause >= (1 - SPREAD) * min(unbounded, policy.get("backoffMaxS", PAUSE_LIMIT_S))


def test_chunks_that_fail_together_do_not_come_back_together() -> None:
    pauses = sorted(pause_s({"backoffS": 100.0}, OWNER, index, 1) for index in range(1_000))
    assert len(set(pauses)) > 990
    assert pauses[0] < 78
    assert pauses[-1] > 97
    assert 85 < pauses[500] < 90


def test_without_a_policy_there_is_no_pause() -> None:
    assert pause_s({}, OWNER, 0, 3) == 0
    assert pause_s({"budget": 1}, OWNER, 0, 3) == 0


def test_the_first_rule_that_names_a_code_holds() -> None:
    assert ignored(RULES) == (1, 2, 3, 4, 5, 6, 8, 9)
    assert ignored([]) == ()


@pytest.mark.parametrize(
    ("phase", "failures", "retries", "code", "final"),
    [
        (FAILED, 3, 2, 1, True),
        (FAILED, 2, 2, 1, False),
        (FAILED, 1, 2, 7, True),
        (FAILED, 1, 1, 7, True),
        (FAILED, 1, 3, 7, False),
        (RETRY, 1, 2, 7, False),
        (ABORTED, 1, 2, 7, False),
    ],
)
def test_a_chunk_is_not_tried_again_by_number_or_by_exit_code(
    phase: str, failures: int, retries: int, code: int, *, final: bool
) -> None:
    """Unless the retries were raised above what the attempt was told."""
    newest = attempt(reason="NonZeroExit", exitCodes=[code])
    assert is_final(job(retries=retries), entry(phase, failures), newest) == final


def test_the_budget_is_of_failures_that_are_tried_again() -> None:
    with_budget = job(retryPolicy={"budget": 3})
    places = [Placement("e", SUCCEEDED, 4, 0, 1), Placement("e", FAILED, 2, 0, 4), Placement("f", RETRY, 1, 0, 1)]
    assert spent(with_budget, places) == (4, 6)
    assert why_failed(with_budget, Failures(again=3, all=5)) is None
    assert why_failed(with_budget, Failures(again=4, all=6)) == (
        "RetryBudgetSpent",
        "its chunks failed more often than the 3 times that are tried again",
    )
    retried = job({"retried": {"at": NOW.isoformat(), "failures": 6}}, retryPolicy={"budget": 3})
    assert spent(retried, places) == (0, 6)
    failed = job({"phase": FAILED}, retryPolicy={"budget": 3})
    assert not has_failed(failed, Failures(again=4, all=6)), "it has its whole budget again once it is to go on"


@pytest.mark.parametrize(("for_good", "reason"), [(0, None), (2, None), (3, "TooManyChunksFailed")])
def test_so_many_chunks_may_fail(for_good: int, reason: str | None) -> None:
    why = why_failed(job(completion={"maxFailedChunks": 2}), Failures(for_good))
    assert (why[0] if why else None) == reason
    assert why_failed(job(), Failures(for_good)) == (("Failed", "") if for_good else None)


PATIENT = job(retryPolicy={"backoffS": 20})


def resting_s(**status: Any) -> float:
    return rest_s(PATIENT, entry(), attempt(**status), NOW)


def at(seconds: float) -> str:
    return (NOW + timedelta(seconds=seconds)).isoformat()


def test_a_pause_begins_at_the_end_of_the_attempt() -> None:
    whole = pause_s(PATIENT.spec["retryPolicy"], OWNER, 0, 1)
    assert resting_s(finishedAt=at(0)) == pytest.approx(whole)
    assert resting_s(finishedAt=at(-5)) == pytest.approx(whole - 5)
    assert resting_s(finishedAt=at(-40)) == 0.0
    assert resting_s(finishedAt=at(3600)) == pytest.approx(whole), "no edge's clock makes anybody wait for longer"
    assert resting_s(finishedAt=at(-3600)) == pytest.approx(whole), "it cannot have ended before it was placed"
    assert resting_s() == pytest.approx(whole)
    assert resting_s(finishedAt="2029-12-31T23:59:30") == pytest.approx(whole), "of which nobody knows where it is so"


@given(st.floats(-1e6, 1e6), st.integers(1, 50))
def test_nobody_waits_for_longer_than_the_pause(skew_s: float, failures: int) -> None:
    rest = rest_s(PATIENT, entry(failures=failures), attempt(finishedAt=at(skew_s)), NOW)
    assert 0 <= rest <= pause_s(PATIENT.spec["retryPolicy"], OWNER, 0, failures) + 1e-5


@pytest.mark.parametrize("phase", ["interrupted", "stopped", RUNNING])
def test_what_has_not_failed_does_not_rest(phase: str) -> None:
    assert rest_s(PATIENT, entry(failures=3), attempt(phase, finishedAt=at(0)), NOW) == 0
    assert rest_s(PATIENT, entry(FAILED, 3), attempt(finishedAt=at(0)), NOW) == 0, "somebody asks for another one now"
    assert rest_s(PATIENT, entry(PLACED, 3), attempt(finishedAt=at(0)), NOW) == 0
