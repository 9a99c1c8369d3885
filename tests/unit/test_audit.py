"""The audit: each violation, planted by hand in a log that is right otherwise, is told once and at its event."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from datamodel.audit import Audit
from datamodel.books.seen import Seen
from datamodel.event import Event
from datamodel.ledger import ALL, Totals
from datamodel.scheduling.edges import desired_path, inventory_path
from datamodel.scheduling.model import MODEL
from tests.graph import JOBS, STEPS, edge_spec

BEGAN = datetime(2030, 1, 1, tzinfo=UTC)
JOB, OTHER = f"{1:032x}", f"{2:032x}"
JOB_PATH, OTHER_PATH = f"{JOBS}/j", f"{JOBS}/other"
EDGE_PATH = inventory_path("s", "e")
GROUP = "/config/job-groups/g"
REQUESTS = {"cpu": 0.5, "memoryBytes": 1024, "powerW": 1.0}
SUCCEEDED: dict[str, Any] = {"phase": "succeeded", "settlement": "counted"}
FAILED: dict[str, Any] = {"phase": "failed", "settlement": "counted"}


class Writer:
    """A log that is written by hand, and what the audit says of it."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.audit = Audit(MODEL)
        self.said: list[str] = []

    def add(self, op: str, path: str, uid: str = "", **part: Any) -> list[str]:
        """Appends an event; what is said of it, without where."""
        kind, _ = MODEL.locate(path)
        return self.append(
            Event(
                position=len(self.events) + 1,
                id=f"event {len(self.events) + 1}",
                at=BEGAN + timedelta(seconds=len(self.events)),
                op=op,  # type: ignore[arg-type]
                path=path,
                uid=uid or f"uid of {path}",
                kind=kind.__name__,
                part=part,
                actor="test",
            )
        )

    def append(self, event: Event) -> list[str]:
        self.events.append(event)
        said = self.audit.step(event)
        where = f"event {event.position}, {event.op} of {event.path}: "
        assert all(sentence.startswith(where) for sentence in said)
        self.said += said
        return [sentence.removeprefix(where) for sentence in said]

    def begin(self) -> None:
        for path in ("/config", "/config/job-groups/default", "/inventory", "/desired-config"):
            self.add("created", path, spec={})
        for path in ("/inventory/sites/s", "/desired-config/sites/s", desired_path("s", "e"), GROUP):
            self.add("created", path, spec={})
        self.add("created", EDGE_PATH, spec=edge_spec(cpu=1.0))
        self.job(JOB, JOB_PATH)
        self.job(OTHER, OTHER_PATH)
        assert not self.said

    def job(self, uid: str, path: str) -> list[str]:
        return self.add("created", path, uid, spec={"chunks": 9, "steps": STEPS}, finalizers=["attempts"])

    def place(self, index: int = 0, epoch: int = 1, **changes: Any) -> list[str]:
        spec = {
            "job": JOB_PATH,
            "index": index,
            "count": 9,
            "requests": REQUESTS,
            "retries": 1,
            "intent": "run",
            **changes.pop("spec", {}),
        }
        part = {"spec": spec, "links": {"job": [JOB]}, **changes}
        return self.add("created", attempt(index, epoch), **part)

    def report(self, index: int = 0, epoch: int = 1, **status: Any) -> list[str]:
        return self.add("statusChanged", attempt(index, epoch), status=status)

    def intend(self, intent: str, index: int = 0, epoch: int = 1, **changes: Any) -> list[str]:
        node = self.audit.node(attempt(index, epoch))
        assert node is not None
        return self.add("specChanged", node.path, spec={**node.spec, "intent": intent, **changes})

    def again(self, **changes: Any) -> list[str]:
        """The next event: the last one once more, with changes."""
        last = self.events[-1]
        new: dict[str, Any] = {"position": last.position + 1, "id": f"again {len(self.events)}"}
        return self.append(structs.replace(last, **(new | changes)))


def attempt(index: int = 0, epoch: int = 1, owner: str = JOB) -> str:
    return f"{desired_path('s', 'e')}/attempts/{owner}-{index}-{epoch}"


@pytest.fixture
def log() -> Writer:
    writer = Writer()
    writer.begin()
    return writer


def only(said: Sequence[str], *words: str) -> None:
    """There is one sentence for each of these words, in order."""
    assert len(said) == len(words), said
    assert all(word in sentence for word, sentence in zip(words, said, strict=True)), said


def test_the_course_of_a_chunk_is_followed(log: Writer) -> None:
    log.place()
    log.place(1)
    assert log.audit.used(EDGE_PATH) == {"cpu": 1000, "memory": 2048, "power": 2000}
    log.report(phase="running", percent=12.39)
    assert log.audit.totals(JOB) == log.audit.totals(ALL) == Totals({"running": 1, "placed": 1}, 123)
    log.report(**FAILED)
    log.place(0, 2)
    log.intend("abandon", 0, 2)
    log.report(1, phase="running")
    log.intend("stop", 1)
    log.report(1, phase="stopped", settlement="counted")
    log.place(0, 3)
    log.report(0, 2, phase="interrupted", settlement="superseded")
    log.report(0, 3, **SUCCEEDED, outputs={"n": 1})
    assert log.audit.totals(JOB) == Totals({"succeeded": 1, "aborted": 1}, 1000)
    assert log.audit.used(EDGE_PATH) == {}
    for epoch in (1, 2, 3):
        log.add("deleted", attempt(0, epoch))
    log.add("deletionRequested", JOB_PATH, JOB)
    log.add("finalized", JOB_PATH, JOB, finalizers=[])
    log.add("deleted", JOB_PATH, JOB)
    assert log.audit.totals(ALL) == log.audit.totals(JOB) == Totals()
    assert not log.said


def test_positions_are_dense_times_do_not_fall_and_ids_are_new(log: Writer) -> None:
    log.add("labelsChanged", GROUP, labels={"a": "1"})
    only(log.again(position=99, part={"labels": {"a": "2"}}), "follows 12")
    only(log.again(position=99, part={"labels": {"a": "3"}}), "follows 99")
    only(log.again(at=BEGAN, part={"labels": {"a": "4"}}), "older than the one before")
    only(log.again(id="event 3", part={"labels": {"a": "5"}}), "the id event 3 was another event's")


def test_a_new_node_has_its_place(log: Writer) -> None:
    only(log.add("created", GROUP, "new", spec={}), f"the path is taken by uid of {GROUP}")
    only(log.add("created", f"{GROUP}2", "new", spec={}), "the uid new was another node's")
    log.add("deleted", f"{GROUP}2", "new")
    only(log.add("created", f"{GROUP}2", "new", spec={}), "the uid new was another node's")
    only(log.add("created", "/config/job-groups/none/jobs/j", spec={}, finalizers=["attempts"]), "its parent does not")
    only(log.add("created", f"{JOBS}/k", spec={}), "begins with the finalizers ()")
    only(log.again(path="/nowhere"), "nothing is declared at 'nowhere'")
    only(log.again(path=f"{GROUP}3", uid="3", kind="Job"), "a JobGroup lives there, and no Job")


def test_nothing_new_comes_below_or_links_to_what_is_being_deleted(log: Writer) -> None:
    log.add("deletionRequested", JOB_PATH, JOB)
    only(log.place(), "the target of its link 'job' is being deleted")
    log.add("created", f"{GROUP}/jobs/k", spec={}, finalizers=["attempts"])
    log.add("deletionRequested", f"{GROUP}/jobs/k")
    log.add("deletionRequested", GROUP)
    only(log.add("created", f"{GROUP}/jobs/l", spec={}, finalizers=["attempts"]), "its parent is being deleted")


def test_links_lead_where_they_are_declared_to(log: Writer) -> None:
    only(log.place(links={"job": ["none"]}), "its link 'job' does not exist", "does not lead to")
    only(log.place(1, links={"job": [f"uid of {GROUP}"]}), "leads to a JobGroup", "does not lead to")
    only(log.place(2, links={"job": [OTHER]}, spec={"requests": REQUESTS | {"cpu": 1e-9}}), "cpu of", "does not lead")
    only(log.add("created", f"{GROUP}2", spec={}, links={"up": [JOB]}), "declares no link 'up'")


def test_only_what_exists_changes(log: Writer) -> None:
    only(log.add("labelsChanged", f"{GROUP}2", labels={}), "there is no such node")
    only(log.add("labelsChanged", GROUP, "another", labels={"a": "b"}), "the node is uid of")
    only(log.add("deleted", f"{GROUP}2"), "there is no such node")
    only(log.add("statusChanged", GROUP, wrong=1), "cannot be followed: KeyError")


def test_nothing_is_deleted_too_early(log: Writer) -> None:
    only(log.add("deleted", JOB_PATH, JOB), "its finalizers ('attempts',) are left")
    only(log.add("deleted", "/inventory/sites/s"), "1 nodes live below it")
    only(log.add("deletionRequested", GROUP), "nothing holds the deletion")
    only(log.again(), "nothing differs", "nothing holds")


@pytest.mark.parametrize(
    ("op", "part"),
    [
        ("specChanged", {"spec": {"description": "d"}}),
        ("statusChanged", {"status": {"a": 1}}),
        ("labelsChanged", {"labels": {"a": "1"}}),
    ],
)
def test_no_write_when_nothing_differs(log: Writer, op: str, part: dict[str, Any]) -> None:
    assert log.add(op, GROUP, **part) == []
    only(log.again(), "nothing differs")


def test_finalizers_only_go(log: Writer) -> None:
    only(log.add("finalized", JOB_PATH, JOB, finalizers=["attempts"]), "nothing differs")
    only(log.add("finalized", JOB_PATH, JOB, finalizers=["attempts", "more"]), "do not come of")


def test_phases_go_along_their_table(log: Writer) -> None:
    log.place()
    log.report(phase="running")
    only(log.report(phase="pending"), "does not lead from running to pending")
    only(log.report(phase="exploded"), "does not lead from pending to exploded", "its end is")
    log.add("statusChanged", JOB_PATH, JOB, status={"phase": "succeeded"})
    only(
        log.add("statusChanged", JOB_PATH, JOB, status={"phase": "succeeded", "percentCompleted": 1}),
        "had ended as succeeded",
    )
    only(log.add("statusChanged", JOB_PATH, JOB, status={"phase": "running"}), "had ended as succeeded")


def test_after_the_end_only_what_is_declared_to_changes(log: Writer) -> None:
    ended = {"phase": "succeeded", "percentCompleted": 1}
    log.add("statusChanged", JOB_PATH, JOB, status=ended)
    assert log.add("statusChanged", JOB_PATH, JOB, status={**ended, "callbacks": []}) == []
    only(log.add("statusChanged", JOB_PATH, JOB, status={**ended, "callbacks": []}), "nothing differs")
    only(
        log.add("statusChanged", JOB_PATH, JOB, status={"phase": "succeeded", "callbacks": []}),
        "had ended as succeeded",
    )


def test_nothing_is_admitted_above_the_capacity(log: Writer) -> None:
    log.place()
    log.add("specChanged", EDGE_PATH, spec=edge_spec(cpu=0.75))
    only(log.place(1), f"1000 cpu of {EDGE_PATH} would be in use, and it has 750")
    assert log.report(**SUCCEEDED) == []
    assert log.audit.used(EDGE_PATH)["cpu"] == 500
    log.add("specChanged", EDGE_PATH, spec=edge_spec(cpu=0.25))
    only(log.place(2), "1000 cpu")
    assert log.report(2, phase="interrupted", settlement="counted") == []


def test_what_is_reserved_ends_with_its_holders_own_end(log: Writer) -> None:
    log.place()
    log.place(1)
    log.intend("abandon")
    only(log.place(0, 2), "1500 cpu")
    log.report(0, 2, **SUCCEEDED)
    assert log.audit.used(EDGE_PATH)["cpu"] == 1000
    only(log.intend("run", 1, requests=REQUESTS | {"cpu": 0.25}), "it holds {'cpu': 500")
    only(log.add("deleted", attempt(1)), "it has not ended")
    only(log.add("deleted", EDGE_PATH), "of it are still in use")


def test_how_many_chunks_a_job_has_is_the_same_for_all_attempts(log: Writer) -> None:
    log.place()
    only(log.place(1, spec={"count": 8}), "its job has 9 chunks, and it is one of 8")
    log.report(1, phase="interrupted", settlement="counted")
    only(log.place(1, 2, spec={"count": 10}), "its job has 9 chunks, and it is one of 10")
    log.report(1, 2, phase="interrupted", settlement="counted")
    assert log.place(1, 3) == []


def test_what_is_settled_once_stays(log: Writer) -> None:
    assert log.add("statusChanged", OTHER_PATH, OTHER, status={"split": {"chunks": 2}}) == []
    assert log.add("statusChanged", OTHER_PATH, OTHER, status={"split": {"chunks": 2}, "percentCompleted": 1.0}) == []
    only(log.add("statusChanged", OTHER_PATH, OTHER, status={"split": {"chunks": 3}}), "its split is another now")
    only(log.add("statusChanged", OTHER_PATH, OTHER, status={}), "its split is another now")


def test_an_edge_runs_the_chunk_that_the_name_claims(log: Writer) -> None:
    only(log.place(spec={"index": 1}), "its name claims chunk 0, its spec says 1 of 9")
    only(log.place(1, spec={"count": 1}), "says 1 of 1", "has 9 chunks, and it is one of 1")
    name = attempt().replace(JOB, "free-form")
    spec = {"index": 0, "count": 1, "requests": REQUESTS | {"cpu": 1e-9}, "retries": 0, "intent": "run"}
    said = log.add("created", name, spec=spec, links={"job": [JOB]})
    only(said, "cpu of", "its name claims nothing")


def test_chunks_begin_in_order_with_epoch_1(log: Writer) -> None:
    only(log.place(1), "chunk 1 is placed, and the next one is 0")
    log.report(1, **SUCCEEDED)
    only(log.place(0, 2), "chunk 0 is placed, and the next one is 1", "first epoch is 2")


def test_epochs_grow_by_one_after_the_one_before_has_ended_or_was_given_up(log: Writer) -> None:
    log.place()
    only(log.place(0, 2), "0-1 has neither ended nor been given up")
    log.report(0, 2, phase="interrupted", settlement="counted")
    only(log.place(0, 4), "epoch 4 follows 2")
    log.report(0, 4, **SUCCEEDED)
    only(log.place(0, 5), "the chunk is counted as succeeded")


def test_a_chunk_that_is_to_stop_is_not_given_up(log: Writer) -> None:
    log.place()
    log.intend("stop")
    only(log.place(0, 2), "neither ended nor been given up")
    log.intend("stop", 0, 2)
    log.report(0, 2, phase="stopped", settlement="counted")
    assert log.place(0, 3) == [], "its job may go on"


def test_a_chunk_is_not_given_up_any_more_once_its_attempt_is_to_run_again(log: Writer) -> None:
    log.place()
    log.intend("abandon")
    log.intend("run")
    only(log.place(0, 2), "neither ended nor been given up")


def test_retries_are_as_many_as_declared(log: Writer) -> None:
    for epoch in (1, 2):
        assert log.place(0, epoch) == []
        assert log.report(0, epoch, **FAILED) == []
    assert log.audit.totals(JOB) == Totals({"failed": 1})
    only(log.place(0, 3), "the chunk is counted as failed")


def test_nothing_is_counted_twice_and_an_older_epoch_counts_nothing(log: Writer) -> None:
    log.place()
    log.intend("abandon")
    log.place(0, 2)
    log.report(0, 2, **SUCCEEDED)
    only(log.report(**SUCCEEDED), "its end is superseded, and it says counted")
    assert log.audit.totals(JOB) == Totals({"succeeded": 1}, 1000)
    log.place(1)
    only(log.report(1, phase="succeeded"), "its end is counted, and it says nothing")


def test_an_end_for_an_owner_that_is_gone_is_orphaned(log: Writer) -> None:
    log.place()
    log.add("finalized", JOB_PATH, JOB, finalizers=[])
    log.add("deleted", JOB_PATH, JOB)
    only(log.report(**SUCCEEDED), "its end is orphaned, and it says counted")
    assert log.audit.totals(ALL) == Totals()


def test_what_was_seen_lately_is_known_in_bounded_memory() -> None:
    seen = Seen(3)
    assert [seen.add(word) for word in "abcde"] == [False] * 5
    assert [word in seen for word in "abcde"] == [True] * 5
    assert [seen.add(word) for word in "cdef"] == [True, True, True, False]
    assert "a" not in seen
