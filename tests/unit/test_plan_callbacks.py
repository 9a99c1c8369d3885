"""Which notices a job comes to have, what is sent of them and when, and what becomes of each."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.ledger import Totals
from datamodel.node import Node
from datamodel.parts import check_status, normal_spec
from datamodel.scheduling.callbacks import CALLBACKS_LIMIT, NOTICES_BYTES
from datamodel.scheduling.jobs import Job
from reconcilers.calling.ports import TIMED_OUT, Unsent
from reconcilers.planning.callbacks import (
    Terms,
    Verdict,
    body_of,
    is_waiting,
    judge,
    noted,
    sealed,
    settled,
    waiting,
)
from reconcilers.planning.rollup import phase_of, rollup
from tests.graph import JOBS, STEPS

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ALL = ["running", "succeeded", "failed", "aborted"]
TERMS = Terms(attempts=30, give_up_s=86_400.0)


def job(*callbacks: dict[str, Any], status: dict[str, Any] | None = None, gone: bool = False) -> Node:
    declared = [{"url": f"https://example.org/{number}", **callback} for number, callback in enumerate(callbacks)]
    spec = {"steps": STEPS, "chunks": 2, **({"callbacks": declared} if declared else {})}
    return Node(
        path=f"{JOBS}/j",
        uid="1" * 32,
        kind="Job",
        labels={},
        spec=normal_spec(Job, spec),
        status=status or {},
        links={},
        finalizers=(),
        generation=2,
        version=7,
        created_version=7,
        created_at=NOW,
        deletion_requested_at=NOW if gone else None,
    )


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def rolled(before: Node, seconds: float, **phases: int) -> Node:
    """The job with the status that follows from its ledger."""
    counted = Totals(phases=phases, progress=1000 * phases.get("succeeded", 0))
    phase = phase_of(before, counted, has_failed=bool(phases.get("failed")))
    status = rollup(before, counted, phase, None, at(seconds))
    check_status(Job, status)
    return msgspec.structs.replace(before, status=status, version=before.version + 1)


def notices(node: Node) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = node.status.get("callbacks", [])
    return found


def told(node: Node, verdict: Verdict) -> Node:
    """The job once all that wait for something have got this verdict."""
    now_sealed = sealed(notices(node), node.version)
    verdicts = {(notice["id"], number): verdict for notice, number in waiting(now_sealed)}
    return msgspec.structs.replace(node, status={**node.status, "callbacks": settled(now_sealed, verdicts, NOW)})


TAKEN = Verdict(delivered=True, final=True)
LATER = Verdict(delivered=False, final=False, reason="Refused", message="it answered 500")
NEVER = Verdict(delivered=False, final=True, reason="Gone", message="it answered 410")


def test_an_end_is_noted_for_whom_it_concerns() -> None:
    node = rolled(job({}, {"on": ["failed"]}, {"on": ALL}), 1.0, succeeded=2)
    (notice,) = notices(node)
    assert (notice["phase"], notice["at"]) == ("succeeded", node.status["finishedAt"])
    assert [one["callback"] for one in notice["told"]] == [0, 2]
    assert notice["chunks"] == {"succeeded": 2}
    assert rolled(job({"on": ["failed"]}), 1.0, succeeded=2).status.get("callbacks") is None
    assert "callbacks" not in rolled(job(), 1.0, succeeded=2).status


def test_every_phase_is_noted_once_on_the_way_and_again_when_it_comes_again() -> None:
    node = job({"on": ALL})
    steps = [
        (1.0, {"running": 2}, ["running"]),
        (2.0, {"running": 1, "succeeded": 1}, ["running"]),
        (3.0, {"failed": 1, "succeeded": 1}, ["running", "failed"]),
        (4.0, {"failed": 1, "succeeded": 1}, ["running", "failed"]),
        (5.0, {"running": 1, "succeeded": 1}, ["running", "failed", "running"]),
        (6.0, {"failed": 1, "succeeded": 1}, ["running", "failed", "running", "failed"]),
        (7.0, {"retry": 1, "succeeded": 1}, ["running", "failed", "running", "failed", "running"]),
        (8.0, {"succeeded": 2}, ["running", "failed", "running", "failed", "running", "succeeded"]),
    ]
    for seconds, counted, phases in steps:
        node = rolled(node, seconds, **counted)
        assert [notice["phase"] for notice in notices(node)] == phases
    assert len({notice["id"] for notice in notices(node)}) == 6


def test_nobody_is_told_of_a_job_that_is_deleted() -> None:
    assert "callbacks" not in rolled(job({}, gone=True), 1.0, aborted=2).status


def test_an_end_of_which_nobody_took_note_is_seen_later_and_once() -> None:
    """Another version of the program may have written it."""
    node = job({}, status={"phase": "failed", "finishedAt": NOW.isoformat(), "chunks": {"failed": 1}})
    found = noted(node, node.status, at(60))
    assert [notice["at"] for notice in found] == [NOW.isoformat()]
    again = msgspec.structs.replace(node, status={**node.status, "callbacks": found})
    assert noted(again, again.status, at(90)) == found
    gone = told(again, TAKEN)
    assert noted(gone, gone.status, at(90)) == notices(gone)


def test_what_is_sent_is_the_documented_shape_and_stays_as_it_was() -> None:
    node = rolled(rolled(job({}), 1.0, running=2), 2.0, succeeded=1, failed=1)
    (notice,) = sealed(notices(node), node.version)
    body = body_of(node, notice)
    assert json.loads(body) == {
        "format": 1,
        "id": notice["id"],
        "type": "job.failed",
        "timestamp": at(2).isoformat(),
        "data": {
            "job": f"{JOBS}/j",
            "group": "default",
            "name": "j",
            "uid": "1" * 32,
            "version": 9,
            "generation": 2,
            "phase": "failed",
            "startedAt": at(1).isoformat(),
            "finishedAt": at(2).isoformat(),
            "chunks": {"total": 2, "succeeded": 1, "failed": 1},
            "outputs": None,
        },
    }
    node = msgspec.structs.replace(node, status={**node.status, "callbacks": [notice]})
    later = rolled(node, 3.0, running=1, succeeded=1)
    (same,) = sealed(notices(later), 99)
    assert body_of(later, same) == body, "the job goes on, and its end was what it was"


def test_a_job_that_is_split_after_its_end_was_noted_is_told_of_as_it_was() -> None:
    """It failed before its turn came, and is tried again."""
    spec = normal_spec(Job, {"steps": STEPS, "maxChunks": 8, "workWs": 100.0, "callbacks": job({}).spec["callbacks"]})
    node = msgspec.structs.replace(job({}), spec=spec, status={"phase": "failed", "chunks": {"pending": 1}})
    (notice,) = sealed(noted(node, {**node.status, "finishedAt": NOW.isoformat()}, NOW), 9)
    body = body_of(node, notice)
    assert json.loads(body)["data"]["chunks"] == {"total": 1, "pending": 1}
    split = msgspec.structs.replace(node, status={**node.status, "split": {"chunks": 3}})
    assert body_of(split, notice) == body


def test_what_was_noted_is_sent_with_one_version() -> None:
    (notice,) = notices(rolled(job({}), 1.0, succeeded=2))
    once = sealed([notice], 7)
    assert once[0]["version"] == 7
    assert sealed(once, 8) == once


def test_a_first_failure_is_written_down_and_then_only_the_end() -> None:
    node = rolled(job({}, {}), 1.0, succeeded=2)
    tried = told(node, LATER)
    assert [(one["state"], one["reason"]) for one in notices(tried)[0]["told"]] == [("waiting", "Refused")] * 2
    other = Verdict(delivered=False, final=False, reason=TIMED_OUT, message="…")
    assert notices(told(tried, other)) == notices(tried)
    (notice,) = notices(told(tried, NEVER))
    assert [one["state"] for one in notice["told"]] == ["givenUp"] * 2
    assert [one["reason"] for one in notice["told"]] == ["Gone"] * 2
    assert notice.keys() == {"id", "phase", "at", "told"}, "nothing is to be sent any more"
    (notice,) = notices(told(tried, TAKEN))
    assert notice["told"] == [{"callback": number, "state": "delivered", "at": NOW.isoformat()} for number in (0, 1)]
    assert told(told(tried, TAKEN), NEVER) == told(tried, TAKEN)


def test_who_is_told_does_not_wait_for_others() -> None:
    node = rolled(job({}, {}), 1.0, succeeded=2)
    (notice,) = sealed(notices(node), 7)
    (after,) = settled([notice], {(notice["id"], 0): TAKEN}, NOW)
    assert [one["state"] for one in after["told"]] == ["delivered", "waiting"]
    assert body_of(node, after) == body_of(node, notice)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40), st.integers(1, CALLBACKS_LIMIT))
def test_notices_have_a_bound_and_the_newest_stays(ends: list[tuple[bool, bool]], callbacks: int) -> None:
    node = job(*[{"on": ALL}] * callbacks)
    for number, (is_told, is_bad) in enumerate(ends):
        node = rolled(node, 2.0 * number, running=2)
        node = rolled(node, 2.0 * number + 1, failed=1, succeeded=1)
        found = notices(node)
        assert found[-1]["at"] == node.status["finishedAt"]
        assert len(msgspec.json.encode(found)) <= NOTICES_BYTES
        order = [notice["at"] for notice in found]
        assert order == sorted(order)
        if is_told:
            node = told(node, NEVER if is_bad else TAKEN)
            assert len(msgspec.json.encode(notices(node))) <= NOTICES_BYTES
            assert not any(is_waiting(notice) for notice in notices(node))


def test_what_waits_stays_longer_than_what_does_not() -> None:
    node = rolled(job({"on": ALL}), 0.0, running=2)
    first = notices(node)[0]["id"]
    for number in range(1, 40):
        node = rolled(node, number, **({"failed": 1, "succeeded": 1} if number % 2 else {"running": 2}))
        found = sealed(notices(node), 7)
        verdicts = {(notice["id"], 0): TAKEN for notice in found if notice["id"] != first}
        node = msgspec.structs.replace(node, status={**node.status, "callbacks": settled(found, verdicts, NOW)})
    assert notices(node)[0]["id"] == first
    assert len(notices(node)) < 40


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        (200, (True, True, "")),
        (204, (True, True, "")),
        (302, (False, False, "Redirected")),
        (404, (False, False, "Refused")),
        (410, (False, True, "Gone")),
        (503, (False, False, "Refused")),
        (Unsent(TIMED_OUT, "x" * 200), (False, False, TIMED_OUT)),
    ],
)
def test_a_reply_is_judged(reply: int | Unsent, verdict: tuple[bool, bool, str]) -> None:
    found = judge(reply, is_last=False)
    assert (found.delivered, found.final, found.reason) == verdict
    assert len(found.message) <= 96
    assert judge(reply, is_last=True).final


@given(st.text(max_size=40), st.integers(1, 100), st.floats(0, 30 * 86_400.0))
def test_moments_have_both_bounds_and_rise(notice: str, attempts: int, give_up_s: float) -> None:
    terms = Terms(attempts, give_up_s)
    moments = terms.moments_s(notice)
    assert moments == terms.moments_s(notice)
    assert moments[0] == 0.0
    assert 1 <= len(moments) <= attempts
    assert moments[-1] <= give_up_s
    waits = [later - earlier for earlier, later in itertools.pairwise(moments)]
    for number, wait in enumerate(waits):
        full = min(terms.first_s * 2.0**number, terms.most_s)
        assert full / 2 - 1e-6 <= wait <= full + 1e-6


def test_notices_are_spread() -> None:
    seconds = {TERMS.moments_s(f"evt_{number}")[5] for number in range(20)}
    assert len(seconds) == 20
    assert 12 * 3600 < TERMS.moments_s("evt_1")[-1] <= TERMS.give_up_s
