"""When a job has taken too long, and when it will have."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from datamodel.ledger import Totals
from datamodel.node import Node
from datamodel.parts import check_status, normal_spec
from datamodel.scheduling.answers import EdgesThat
from datamodel.scheduling.jobs import Job
from reconcilers.planning.deadlines import Judgement, ending, is_timed, judge
from tests.graph import JOBS, STEPS

MADE = datetime(2030, 1, 1, tzinfo=UTC)
SOME = Totals({"running": 1})
NONE = Totals()


def at(seconds: float) -> datetime:
    return MADE + timedelta(seconds=seconds)


def job(*, generation: int = 1, status: dict[str, Any] | None = None, intent: str = "run", **deadlines: float) -> Node:
    spec = {"steps": STEPS, "intent": intent, **({"deadlines": deadlines} if deadlines else {})}
    return Node(
        path=f"{JOBS}/j",
        uid="1" * 32,
        kind="Job",
        labels={},
        spec=normal_spec(Job, spec),
        status=status or {},
        links={},
        finalizers=(),
        generation=generation,
        version=7,
        created_version=7,
        created_at=MADE,
    )


@pytest.mark.parametrize(
    ("one", "timed"),
    [
        (job(), False),
        (job(jobS=5), True),
        (job(queueS=5), True),
        (job(jobS=5, intent="suspend"), True),
        (job(jobS=5, intent="abort"), False),
        (job(jobS=5, status={"phase": "succeeded"}), False),
        (job(jobS=5, status={"phase": "failed"}), False),
        (job(jobS=5, status={"ending": {"phase": "failed"}}), False),
    ],
)
def test_which_jobs_have_a_deadline_that_can_pass(one: Node, *, timed: bool) -> None:
    assert is_timed(one) == timed


def test_a_job_has_so_long_from_when_it_was_created() -> None:
    assert judge(job(jobS=60), SOME, at(59)) == Judgement(recheck_s=1)
    assert judge(job(jobS=60), SOME, at(60)) == Judgement("DeadlineExceeded")
    assert judge(job(jobS=60, intent="suspend"), SOME, at(60)) == Judgement("DeadlineExceeded")


@pytest.mark.parametrize("status", [{"readyAt": at(100).isoformat()}, {"retried": {"at": at(100).isoformat()}}])
def test_or_from_when_it_is_ready_or_was_tried_again(status: dict[str, Any]) -> None:
    assert judge(job(jobS=60, status=status), SOME, at(159)) == Judgement(recheck_s=1)
    assert judge(job(jobS=60, status=status), SOME, at(160)).passed == "DeadlineExceeded"


def test_nobody_takes_it_for_so_long() -> None:
    assert judge(job(queueS=15), NONE, at(10)) == Judgement(recheck_s=5)
    assert judge(job(queueS=15), NONE, at(15)) == Judgement("QueueDeadlineExceeded")
    assert judge(job(queueS=15), SOME, at(15)) == Judgement(), "somebody did"


def test_the_first_deadline_holds() -> None:
    both = job(queueS=15, jobS=30)
    assert judge(both, NONE, at(10)).recheck_s == 5
    assert judge(both, NONE, at(20)).passed == "QueueDeadlineExceeded"
    assert judge(both, SOME, at(20)).recheck_s == 10


def test_the_time_in_which_it_could_not_be_placed_does_not_count() -> None:
    suspended = job(queueS=15, intent="suspend", generation=2)
    assert judge(suspended, NONE, at(1000)) == Judgement()
    resumed = job(queueS=15, generation=3)
    noted = judge(resumed, NONE, at(1000))
    assert noted == Judgement(recheck_s=15, queued={"at": at(1000).isoformat(), "generation": 3})
    known = job(queueS=15, generation=3, status={"queued": noted.queued})
    assert judge(known, NONE, at(1014)) == Judgement(recheck_s=1)
    assert judge(known, NONE, at(1015)).passed == "QueueDeadlineExceeded"
    changed = job(queueS=15, generation=5, status={"queued": noted.queued})
    assert judge(changed, NONE, at(1015)).queued == {"at": at(1015).isoformat(), "generation": 5}


@pytest.mark.parametrize(
    "fields",
    [
        {"inputs": [{"job": "default/a", "artifact": "b", "path": "c"}]},
        {"after": [{"job": "a", "on": "finished"}]},
        {"startAt": at(100).isoformat()},
    ],
)
@pytest.mark.parametrize(("deadline", "reason"), [("queueS", "QueueDeadlineExceeded"), ("jobS", "DeadlineExceeded")])
def test_nor_does_what_it_waited_to_begin(fields: dict[str, Any], deadline: str, reason: str) -> None:
    waiting = structs.replace(job(), spec={**job().spec, "deadlines": {deadline: 15.0}, **fields})
    assert judge(waiting, NONE, at(1000)) == Judgement(), "it is held back"
    status = {"readyAt": at(100).isoformat(), **({"inputs": []} if "inputs" in fields else {})}
    ready = structs.replace(waiting, status=status)
    assert judge(ready, NONE, at(114)) == Judgement(recheck_s=1)
    assert judge(ready, NONE, at(115)).passed == reason


def test_the_decision_says_why_no_edge_took_it() -> None:
    edges = [EdgesThat("TooSmall", "has 1 cores, and a chunk asks for 2 cores", 7, "s/e", "cpu")]
    decided = ending(job(queueS=15), "QueueDeadlineExceeded", edges)
    assert decided["message"] == (
        "nothing of it was placed for 15 s: of 7 edges, 7 have too little cpu (s/e has 1 cores, and a chunk asks for 2 cores)"
    )
    paused = {"type": "Placed", "reason": "GroupPaused", "message": "the group g is paused"}
    told = structs.replace(job(queueS=15), status={"conditions": [paused]})
    assert ending(told, "QueueDeadlineExceeded", edges)["message"].endswith("for 15 s: the group g is paused")
    full = structs.replace(told, status={"conditions": [paused | {"reason": "NoRoom"}]})
    assert ending(full, "QueueDeadlineExceeded", edges)["message"] == decided["message"]
    assert ending(job(jobS=2.5), "DeadlineExceeded", [])["message"] == "it had not ended after 2.5 s"
    check_status(Job, {"phase": "failed", "ending": decided, "queued": {"at": MADE.isoformat(), "generation": 2}})
