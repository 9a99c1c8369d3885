"""The checker accepts a clean run, and finds each kind of violation that is planted in one."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from msgspec import structs

from datamodel.scheduling.attempts import attempt_name
from sim.chaos.checker import RULES, check
from sim.chaos.evidence import AttemptSeen, Evidence
from sim.chaos.history import History, Order, Request, Rollback, Seen
from sim.chaos.ledger import Line

ONE, TWO = "1" * 32, "2" * 32
PENDING = Seen(ONE, version=5, phase="pending", succeeded=0, outputs=None, executed=None, deleting=False)
RUNNING = structs.replace(PENDING, version=7, phase="running", succeeded=1, executed=1)
SUCCEEDED = structs.replace(
    RUNNING, version=9, phase="succeeded", succeeded=2, executed=2, outputs={"indexes": [0, 1], "ran": 2}
)
ACCEPTED = Request("submit", "j", 1, 2, 202, PENDING)


def lines(chunk: int, *, epoch: int = 1, uid: str = ONE, result: int = 0) -> tuple[Line, ...]:
    start = Line("j", chunk, attempt_name(uid, chunk, epoch), epoch, 1, 1, "here", 1.0, "start")
    return (start, replace(start, event="end", result=result))


def attempt(chunk: int, *, epoch: int = 1, edge: str = "edge-1") -> AttemptSeen:
    return AttemptSeen(edge, attempt_name(ONE, chunk, epoch), ONE, chunk, epoch, "succeeded", "counted")


@dataclass
class Story:
    """A clean run of one job of two chunks, the second of which was interrupted once. A test changes it."""

    requests: list[Request]
    rollbacks: list[Rollback]
    lines: tuple[Line, ...]
    end: Seen | None
    attempts: tuple[AttemptSeen, ...]
    places: dict[str, str]
    cloned: frozenset[str] = frozenset()

    def violated(self) -> set[str]:
        return {violation.check for violation in check(self.evidence()).violations}

    def evidence(self) -> Evidence:
        history = History({"j": Order("j", chunks=2, steps=1)}, self.requests, self.rollbacks)
        return Evidence(history, self.lines, {"j": self.end}, self.attempts, self.places, self.cloned)

    def read(self, at_s: float, seen: Seen | None) -> None:
        self.requests.append(Request("read", "j", at_s, at_s + 0.1, 404 if seen is None else 200, seen))

    def delete(self, at_s: float, status: int | None = 202) -> None:
        self.requests.append(Request("delete", "j", at_s, at_s + 0.1, status, None))


@pytest.fixture
def story() -> Story:
    interrupted = replace(attempt(1), phase="interrupted")
    story = Story(
        requests=[Request("submit", "j", 0, 1, None), ACCEPTED],
        rollbacks=[],
        lines=(*lines(0), lines(1)[0], *lines(1, epoch=2)),
        end=SUCCEEDED,
        attempts=(attempt(0), interrupted, attempt(1, epoch=2)),
        places={"here": "local", "there": "north"},
    )
    for at_s, seen in ((3, PENDING), (4, RUNNING), (5, SUCCEEDED)):
        story.read(at_s, seen)
    return story


def test_a_clean_run_violates_nothing_and_is_counted(story: Story) -> None:
    verdict = check(story.evidence())
    assert verdict.violations == []
    assert verdict.figures == {
        "jobsAccepted": 1, "jobsSucceeded": 1, "jobsRolledBack": 0, "chunksCounted": 2, "chunksRunTwice": 1,
        "chunksDoneTwice": 0, "attemptsRun": 3, "attemptsRunTwice": 0, "requests": 5, "requestsUnknown": 1,
    }  # fmt: skip


def gone(story: Story) -> None:
    story.end, story.attempts = None, ()


def became_another(story: Story) -> None:
    story.requests.append(Request("submit", "j", 2, 3, 202, structs.replace(PENDING, uid=TWO)))


def crashed(story: Story) -> None:
    story.requests.append(Request("read", "j", 6, 7, 500))


def refused(story: Story) -> None:
    story.requests.append(Request("submit", "j", 6, 7, 409))


def never_ended(story: Story) -> None:
    story.end = RUNNING
    del story.requests[-1]


def failed(story: Story) -> None:
    story.end = structs.replace(SUCCEEDED, version=10, phase="failed")
    del story.requests[-1]


def failed_and_deleted(story: Story) -> None:
    story.requests[-1:] = []
    story.read(5, structs.replace(SUCCEEDED, phase="failed"))
    story.delete(6)
    gone(story)


def counted_twice(story: Story) -> None:
    story.end = structs.replace(SUCCEEDED, outputs={"indexes": [0, 1, 1], "ran": 3})


def sum_differs(story: Story) -> None:
    story.end = structs.replace(SUCCEEDED, outputs={"indexes": [0, 1], "ran": 1})


def executions_differ(story: Story) -> None:
    story.end = structs.replace(SUCCEEDED, executed=3)


def never_ran(story: Story) -> None:
    story.lines = lines(0)


def only_failed(story: Story) -> None:
    story.lines = (*lines(0), *lines(1, epoch=2, result=1))


def another_attempt_ran(story: Story) -> None:
    story.lines = (*lines(0), *lines(1, epoch=1))


def end_not_counted(story: Story) -> None:
    story.end = structs.replace(SUCCEEDED, outputs={"indexes": [0], "ran": 2})


def ran_for_nobody(story: Story) -> None:
    story.lines = (*story.lines, *lines(0, uid=TWO))


def never_placed(story: Story) -> None:
    story.attempts = (story.attempts[0], story.attempts[2])


def ran_elsewhere(story: Story) -> None:
    story.lines = (*story.lines[:-1], replace(story.lines[-1], place="there"))


def began_twice(story: Story) -> None:
    story.lines = (*story.lines, story.lines[0])


def begun_beside_a_success(story: Story) -> None:
    story.attempts = (story.attempts[0], attempt(1), attempt(1, epoch=2))


def begun_beside_another(story: Story) -> None:
    running = replace(attempt(1), phase="running", settlement="")
    story.attempts = (story.attempts[0], running, attempt(1, epoch=2))


def two_current(story: Story) -> None:
    waiting = replace(attempt(1, epoch=3), phase="pending", settlement="")
    running = replace(attempt(1, epoch=4), phase="running", settlement="")
    story.attempts = (*story.attempts, waiting, running)


def two_counted(story: Story) -> None:
    story.lines = (*story.lines, *lines(0, epoch=2))
    story.attempts = (*story.attempts, attempt(0, epoch=2))


def older_counted(story: Story) -> None:
    story.lines = (*story.lines, *lines(0, epoch=2))
    story.attempts = (*story.attempts, replace(attempt(0, epoch=2), settlement="superseded"))


def none_counted(story: Story) -> None:
    story.attempts = tuple(replace(a, settlement="superseded") for a in story.attempts)


def on_two_edges(story: Story) -> None:
    story.attempts = (*story.attempts, replace(attempt(0, edge="edge-2"), settlement="superseded"))


def unfinished_again(story: Story) -> None:
    story.read(6, structs.replace(RUNNING, version=10, succeeded=2))


def fewer_counted(story: Story) -> None:
    story.requests[-1:] = []
    story.read(5, structs.replace(RUNNING, version=8, succeeded=0))


def older_version(story: Story) -> None:
    story.read(6, structs.replace(SUCCEEDED, version=8))


def another_uid(story: Story) -> None:
    story.read(6, structs.replace(SUCCEEDED, uid=TWO))


def vanished_for_a_while(story: Story) -> None:
    story.read(6, None)


def undeleted(story: Story) -> None:
    story.delete(6)


@pytest.mark.parametrize(
    ("plant", "rule"),
    [
        (gone, "nothing is lost"),
        (became_another, "answers are right"),
        (crashed, "answers are right"),
        (refused, "answers are right"),
        (never_ended, "everything ends"),
        (failed, "everything ends"),
        (failed_and_deleted, "everything ends"),
        (counted_twice, "chunks count once"),
        (sum_differs, "chunks count once"),
        (executions_differ, "chunks count once"),
        (never_ran, "what is counted ran"),
        (only_failed, "what is counted ran"),
        (another_attempt_ran, "what is counted ran"),
        (end_not_counted, "what ran is settled"),
        (ran_for_nobody, "what ran is settled"),
        (never_placed, "what ran was placed"),
        (ran_elsewhere, "what ran was placed"),
        (began_twice, "nothing runs twice"),
        (begun_beside_a_success, "nothing runs twice"),
        (begun_beside_another, "nothing runs twice"),
        (two_current, "one attempt is current"),
        (two_counted, "the newest attempt counts"),
        (older_counted, "the newest attempt counts"),
        (none_counted, "the newest attempt counts"),
        (on_two_edges, "one attempt is current"),
        (unfinished_again, "reads go forward"),
        (fewer_counted, "reads go forward"),
        (older_version, "reads go forward"),
        (another_uid, "reads go forward"),
        (vanished_for_a_while, "reads go forward"),
        (undeleted, "deleted stays deleted"),
    ],
)
def test_a_planted_violation_is_found(story: Story, plant: Callable[[Story], None], rule: str) -> None:
    plant(story)
    assert rule in story.violated()


def test_every_rule_has_a_planted_violation() -> None:
    (marker,) = (mark for mark in test_a_planted_violation_is_found.pytestmark if mark.name == "parametrize")  # type: ignore[attr-defined]
    assert {rule for _, rule in marker.args[1]} == set(RULES)


def test_what_was_deleted_may_be_gone(story: Story) -> None:
    story.delete(6, status=None)  # nobody knows whether it was
    story.read(7, None)
    gone(story)
    assert story.violated() == set()


def test_an_older_database_may_know_nothing_of_what_was_accepted_after_the_copy(story: Story) -> None:
    story.rollbacks = [Rollback(0.5, 0.6, 10, 11)]
    story.read(12, None)
    gone(story)
    assert story.violated() == set()
    assert check(story.evidence()).figures["jobsRolledBack"] == 1


@pytest.mark.parametrize("rollback", [Rollback(2.5, 2.6, 10, 11), Rollback(0.1, 0.2, 0.3, 0.5)])
def test_what_was_accepted_before_the_copy_or_after_the_return_stays(story: Story, rollback: Rollback) -> None:
    story.rollbacks = [rollback]
    gone(story)
    assert story.violated() == {"nothing is lost"}


def test_an_older_database_may_not_know_of_attempts_that_ran(story: Story) -> None:
    story.attempts = story.attempts[1:]
    story.rollbacks = [Rollback(2.5, 2.6, 3.5, 3.6)]
    assert "what ran was placed" not in story.violated()
    story.rollbacks = [Rollback(20, 21, 22, 23)]  # it had ended before the copy
    assert "what ran was placed" in story.violated()


def test_across_the_return_of_an_older_database_reads_may_go_backwards(story: Story) -> None:
    story.rollbacks = [Rollback(2.5, 2.6, 10, 11)]
    story.read(10.5, PENDING)  # while it is put back: of the one or the other
    story.read(12, RUNNING)
    story.read(13, SUCCEEDED)
    assert story.violated() == set()
    story.read(14, RUNNING)
    assert story.violated() == {"reads go forward"}


def test_readings_that_overlap_have_no_order(story: Story) -> None:
    story.requests.append(Request("read", "j", 3.5, 5.05, 200, PENDING))  # answered last, and asked before the others
    assert story.violated() == set()


def test_what_was_not_heard_from_or_had_a_clone_may_run_twice(story: Story) -> None:
    story.lines = (*story.lines, *lines(0), *lines(0, epoch=2))
    replaced = replace(attempt(0), reason="EdgeCutOff", settlement="superseded")
    story.attempts = (replaced, attempt(0, epoch=2), *story.attempts[1:])
    story.cloned = frozenset({"local"})
    assert story.violated() == set()
    figures = check(story.evidence()).figures
    assert (figures["chunksRunTwice"], figures["chunksDoneTwice"], figures["attemptsRunTwice"]) == (2, 1, 1)
