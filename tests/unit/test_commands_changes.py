"""Events of streams, and what of them is news."""

from typing import Any

import pytest

from gateway.commands.changes import Change, Known, What
from gateway.commands.conditions import Condition, condition_of
from gateway.commands.failure import Failure
from gateway.commands.streams import Event, lines_in, read_events
from tests.commands import kinds

JOB = kinds().named("job")


def node(name: str, version: int, uid: str = "", **status: Any) -> dict[str, Any]:
    return {"metadata": {"path": f"/{name}", "version": version, "uid": uid or name}, "status": status}


def take(known: Known, what: What, document: dict[str, Any]) -> str | None:
    change = known.take(what, document)
    return change.what if change is not None else None


def test_events_are_read_as_the_specification_says() -> None:
    text = ': hi\n\nevent: a\ndata: {"x":\ndata:1}\n\nid: 7\nevent: b\ndata: 2\n\ndata: 3\n\nevent: cut\ndata: 4\n'
    assert list(read_events(text.split("\n")[:-1])) == [
        Event("a", "", {"x": 1}),
        Event("b", "7", 2),
        Event("message", "7", 3),
    ]


def test_a_streams_lines_end_as_the_specification_says_however_they_come() -> None:
    text = 'data: "a\u2028b\u2029c\x85d\x0be"\r\n\r\ndata: 2\r\rdata: 3\n\ncut'
    whole = ['data: "a\u2028b\u2029c\x85d\x0be"', "", "data: 2", "", "data: 3", ""]
    assert list(lines_in([text])) == whole
    assert list(lines_in(text)) == whole


def test_what_is_told_again_is_no_news() -> None:
    known = Known()
    known.begin()
    assert take(known, "added", node("a", 1)) == "added"
    assert known.bookmark() == []
    assert take(known, "added", node("a", 1)) is None
    assert take(known, "modified", node("a", 2)) == "modified"
    assert take(known, "modified", node("a", 2)) is None
    assert take(known, "deleted", node("a", 3)) == "deleted"
    assert take(known, "deleted", node("a", 3)) is None
    assert take(known, "added", node("a", 4)) == "added"


def test_who_lists_again_is_told_what_is_different() -> None:
    known = Known()
    known.begin()
    for name in "abc":
        known.take("added", node(name, 1))
    known.bookmark()
    known.begin()
    assert take(known, "added", node("a", 1)) is None
    assert take(known, "added", node("b", 5)) == "modified"
    assert take(known, "added", node("d", 6)) == "added"
    assert known.bookmark() == [Change("deleted", node("c", 1))]
    assert known.bookmark() == []


def test_a_restored_log_has_lower_versions_of_other_nodes() -> None:
    known = Known()
    known.begin()
    known.take("added", node("a", 9, "first"))
    known.bookmark()
    known.begin()
    assert take(known, "added", node("a", 3, "second")) == "added"


def test_a_list_that_was_cut_begins_anew() -> None:
    known = Known()
    known.begin()
    known.take("added", node("a", 1))
    known.cut()
    known.take("added", node("b", 1))
    assert known.bookmark() == [Change("deleted", node("a", 1))]


def test_without_a_list_news_is_told_as_it_comes() -> None:
    known = Known()
    assert take(known, "modified", node("a", 5)) == "modified"
    assert take(known, "deleted", node("b", 6)) == "deleted"
    assert take(known, "deleted", node("b", 6)) is None
    assert known.bookmark() == []


@pytest.mark.parametrize(
    ("text", "states"),
    [
        ("succeeded", {"pending": "not yet", "succeeded": "so", "failed": "never", None: "never"}),
        ("running", {"pending": "not yet", "running": "so", "aborted": "never", None: "never"}),
        ("finished", {"running": "not yet", "failed": "so", "succeeded": "so", None: "never"}),
        ("deleted", {"running": "not yet", "failed": "not yet", None: "so"}),
        ("status.phase=failed", {"running": "not yet", "failed": "so", "succeeded": "never", None: "never"}),
        ("status.chunks.succeeded=8", {"running": "not yet", "failed": "never", None: "never"}),
        ("spec.intent=abort", {"running": "not yet", "failed": "not yet", None: "never"}),
    ],
)
def test_conditions(text: str, states: dict[str | None, str]) -> None:
    condition: Condition = condition_of(text, JOB)
    for phase, state in states.items():
        assert condition.state(node("a", 1, phase=phase) if phase is not None else None) == state


def test_values_are_compared_as_they_are_shown() -> None:
    found = {"spec": {"cordoned": True, "chunks": 8}}
    assert condition_of("spec.cordoned=true", JOB).state(found) == "so"
    assert condition_of("spec.chunks=8", JOB).state(found) == "so"
    assert condition_of("spec.chunks=", JOB).state(found) == "not yet"
    assert condition_of("spec.chunks=eight", JOB).state(found) == "not yet"
    assert condition_of("spec.chunks=8.0", JOB).state(found) == "so"
    assert condition_of("spec.cordoned=1", JOB).state(found) == "not yet"
    assert condition_of("spec.chunks.x=8", JOB).state(found) == "not yet"


def test_numbers_are_compared_as_numbers() -> None:
    found = node("a", 1, phase="succeeded", percentCompleted=100.0, large=2**53 + 1)
    assert condition_of("status.percentCompleted=100", JOB).state(found) == "so"
    assert condition_of("status.percentCompleted=99", JOB).state(found) == "never"
    assert condition_of(f"status.large={2**53 + 1}", JOB).state(found) == "so"


def test_the_end_of_what_was_asked_before_is_none() -> None:
    retried = node("a", 1, phase="failed", observedGeneration=1)
    retried["metadata"]["generation"] = 2
    for text in ("succeeded", "finished", "failed", "running", "status.chunks.succeeded=8"):
        assert condition_of(text, JOB).state(retried) == "not yet"
    retried["status"] = {"phase": "failed", "observedGeneration": 2}
    assert condition_of("succeeded", JOB).state(retried) == "never"
    assert condition_of("finished", JOB).state(retried) == "so"
    drained = node("e", 9, phase="drained", observedGeneration=2)
    drained["metadata"]["generation"] = 3
    assert condition_of("status.phase=drained", kinds().named("edge-config")).state(drained) == "not yet"
    drained["status"]["observedGeneration"] = 3
    assert condition_of("status.phase=drained", kinds().named("edge-config")).state(drained) == "so"
    fresh = node("a", 1, phase="pending", observedGeneration=0)
    fresh["metadata"]["generation"] = 1
    assert condition_of("pending", JOB).state(fresh) == "so"


@pytest.mark.parametrize("text", ["done", "", "=x", "chunks=8"])
def test_a_condition_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Failure):
        condition_of(text, JOB)
