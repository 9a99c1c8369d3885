"""From reports to commands: what is believed, what is rejected, and that an end is never lost."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datamodel.command import Unit
from datamodel.merge import merged
from datamodel.parts import check_status
from datamodel.prepare import prepare
from datamodel.scheduling import wire
from datamodel.scheduling.attempts import ENDED, Attempt
from datamodel.scheduling.images import IMAGES_LIMIT
from datamodel.scheduling.model import MODEL
from datamodel.scheduling.steps import STEPS_LIMIT
from reconcilers.planning.settlement import OUTPUTS_LIMIT_BYTES, Settlement, settle

AT = datetime(2030, 1, 1, tzinfo=UTC)
ATTEMPT = "/desired-config/sites/s/edges/e/attempts/a"


def attempt(phase: Any, **more: Any) -> wire.AttemptReport:
    return wire.AttemptReport(**{"edge": "e", "attempt": "a", "at": AT, "phase": phase, **more})


def edge(**more: Any) -> wire.EdgeReport:
    said: dict[str, Any] = {
        "edge": "e",
        "at": AT,
        "cpu": 1.0,
        "memory_bytes": 1024,
        "power_w": 5.0,
        "runtime": "simulated",
        "agent_version": "1",
        **more,
    }
    return wire.EdgeReport(**said)


def settled(*reports: wire.Report | bytes) -> Settlement:
    raws = [msgspec.Raw(report if isinstance(report, bytes) else wire.encode(report)) for report in reports]
    return settle("s", "e", "1", raws)


def test_a_course_becomes_one_patch() -> None:
    found = settled(attempt("running", percent=10.0), attempt("succeeded", percent=100.0, exit_codes=(0,)))
    (command,) = found.commands()
    assert (command.op, command.path) == ("patchStatus", ATTEMPT)
    assert command.body["phase"] == "succeeded"
    assert command.body["percent"] == 100.0
    assert command.body["startedAt"] == AT.isoformat()
    assert found.rejected == []


def test_the_first_end_counts() -> None:
    found = settled(attempt("succeeded"), attempt("interrupted"), attempt("running"))
    assert found.patches[ATTEMPT]["phase"] == "succeeded"


def test_a_registration_comes_before_what_runs_there() -> None:
    registration, report = settled(attempt("running"), edge(labels={"zone": "a"})).commands()
    assert (registration.op, registration.path) == ("apply", "/inventory/sites/s/edges/e")
    assert registration.labels == {"zone": "a"}
    assert registration.body["capacity"] == {"cpu": 1.0, "memoryBytes": 1024, "powerW": 5.0}
    assert report.path == ATTEMPT


@pytest.mark.parametrize(
    "report",
    [
        b"no JSON",
        b'"\xff"',
        b"[" * 100_000,
        attempt("running", edge="other"),
        attempt("running", edge="e-x"),
        attempt("running", edge="e/../x"),
        attempt("running", attempt="a/b"),
        attempt("running", attempt="A"),
        attempt("running", percent=101.0),
        attempt("running", step=-1),
        edge(edge="E"),
        edge(cpu=-1.0),
        edge(memory_bytes=0),
        edge(labels={"no label!": ""}),
    ],
)
def test_what_cannot_be_believed_is_rejected_and_takes_nothing_with_it(report: wire.Report | bytes) -> None:
    found = settled(attempt("running"), report, edge())
    ((reason, body),) = found.rejected
    assert reason
    assert body
    assert len(found.commands()) == 2
    prepare(MODEL, Unit(found.commands(), found.actor("s", "e")))  # the store takes what is left


@pytest.mark.parametrize(
    "more",
    [
        {"percent": 101.0},
        {"step": -1},
        {"exit_codes": (0,) * (STEPS_LIMIT + 1)},
        {"outputs": {"text": "x" * (OUTPUTS_LIMIT_BYTES + 1)}},
    ],
)
@pytest.mark.parametrize("phase", ["succeeded", "failed", "interrupted", "stopped"])
def test_an_end_with_impossible_details_still_ends_the_attempt(phase: str, more: dict[str, Any]) -> None:
    found = settled(attempt("running", percent=10.0), attempt(phase, **more))
    patch = found.patches[ATTEMPT]
    assert (patch["phase"], patch["reason"]) == ("failed", "InvalidReport")
    assert patch["message"]
    assert "outputs" not in patch
    assert found.rejected == []


def test_long_words_are_cut() -> None:
    patch = settled(attempt("failed", reason="r" * 1000, message="m" * 10_000)).patches[ATTEMPT]
    assert (len(patch["reason"]), len(patch["message"])) == (256, 4096)


def test_an_agent_may_write_what_its_edges_are_and_nothing_else() -> None:
    found = settle("s", "g", "1", [msgspec.Raw(wire.encode(attempt("running", edge=f"g-{n}"))) for n in (1, 0)])
    assert found.actor("s", "g").scopes == {"/sites/s/edges/g-0", "/sites/s/edges/g-1"}


_texts = st.text(max_size=30) | st.text(st.characters(max_codepoint=31), min_size=1, max_size=5)
_long = st.builds(lambda text, times: text * times, _texts, st.sampled_from([1, 1, 1, 300, 5_000]))
_whole = st.integers() | st.sampled_from([0, 1, 2**31, 2**64, -(2**63), 10**300, 10**4_000])
_numbers = _whole | st.floats(allow_nan=False, allow_infinity=False)
_json = st.recursive(
    st.none() | st.booleans() | _numbers | _long,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=12,
)
_zones = st.sampled_from(["Z", "+00:00", "-11:30", "+23:59", "-23:59", ""])
_times = st.builds(lambda at, zone: at.isoformat() + zone, st.datetimes(), _zones)
_reports = st.fixed_dictionaries(
    {
        "type": st.just("attempt"),
        "edge": st.just("e"),
        "attempt": st.just("a"),
        "phase": st.sampled_from(["running", "succeeded", "failed", "interrupted", "stopped"]),
        "at": _times,
    },
    optional={
        "percent": _numbers | st.floats(0, 100),
        "step": _whole | st.integers(0, 40),
        "exitCodes": st.lists(_whole, max_size=STEPS_LIMIT + 1) | st.lists(st.integers(0, 255), max_size=3),
        "reason": _long,
        "message": _long,
        "outputs": st.none() | st.dictionaries(_texts, _json, max_size=4),
        "startedAt": st.none() | _times,
    },
)


def said(phase: str, **more: Any) -> dict[str, Any]:
    return {"type": "attempt", "edge": "e", "attempt": "a", "phase": phase, "at": "2030-01-01T00:00:00Z", **more}


def nested(levels: int) -> dict[str, Any]:
    return {} if levels == 0 else {"a": nested(levels - 1)}


@settings(max_examples=300, deadline=None)
@given(reports=st.lists(_reports, min_size=1, max_size=3), escaped=st.booleans())
@example(reports=[said("failed", message="\x01" * 5_000, reason="\x01" * 300)], escaped=True)
@example(reports=[said("succeeded", outputs={"text": "\x01" * 10_000}, message="\x01" * 5_000)], escaped=True)
@example(reports=[said("succeeded", outputs={"a": "\x00"}), said("running")], escaped=True)
def test_what_is_settled_has_the_shape_of_a_status(reports: list[dict[str, Any]], *, escaped: bool) -> None:
    """The rule book refuses no status for its shape, so no end is lost; and no end is rejected for its details."""
    try:
        raws = [json.dumps(report, ensure_ascii=escaped).encode() for report in reports]
    except UnicodeEncodeError:  # half a character is no text at all
        return
    found = settled(*raws)
    for patch in found.patches.values():
        check_status(Attempt, patch)
    readable = [report for report in reports if is_readable(report)]
    if any(report["phase"] in ENDED for report in readable):
        assert found.patches[ATTEMPT]["phase"] in ENDED


def is_readable(report: dict[str, Any]) -> bool:
    try:
        wire.decode_report(json.dumps(report).encode())
    except wire.UNREADABLE:
        return False
    return True


@pytest.mark.parametrize(
    "details",
    [
        {"outputs": nested(150)},
        {"outputs": nested(250)},
        {"outputs": nested(800)},
        {"outputs": {"n": 10**4_000}},
        {"exitCodes": [10**4_000] * STEPS_LIMIT},
        {"exitCodes": [10**4_000] * STEPS_LIMIT, "message": "\x01" * 5_000},
        {"step": 10**4_000},
        {"message": "\x01" * 5_000, "reason": "\x01" * 300, "outputs": {"text": "\x01" * 10_000}},
    ],
    ids=[
        "nested",
        "nested deep",
        "nested deeper",
        "huge",
        "huge codes",
        "huge codes and words",
        "huge step",
        "control",
    ],
)
def test_an_end_with_strange_details_is_one_that_the_store_takes(details: dict[str, Any]) -> None:
    found = settled(json.dumps(said("succeeded", **details)).encode())
    assert found.rejected == []
    assert found.patches[ATTEMPT]["phase"] in ENDED
    check_status(Attempt, merged({"phase": "running", "percent": 1.0}, found.patches[ATTEMPT]))


def test_an_edge_says_what_power_it_has_and_expects_and_which_images() -> None:
    ahead = (wire.Foreseen(AT, 0.0), wire.Foreseen(AT + timedelta(seconds=1), 7.5))
    (registration,) = settled(
        edge(power_w=0.0, forecast=ahead, images=("docker.io/library/busybox:latest",))
    ).commands()
    assert registration.body["capacity"]["powerW"] == 0.0, "there may be none now"
    assert [one["powerW"] for one in registration.body["forecast"]] == [0.0, 7.5]
    assert registration.body["images"] == ["docker.io/library/busybox:latest"]
    (registration,) = settled(edge()).commands()
    assert not registration.body.keys() & {"forecast", "images"}, "who does not know says nothing"


@pytest.mark.parametrize(
    "more",
    [
        {"power_w": -1.0},
        {"forecast": (wire.Foreseen(AT, -1.0),)},
        {"forecast": (wire.Foreseen(AT, 1.0), wire.Foreseen(AT, 1.0))},
        {"images": ("",)},
        {"images": ("x",) * (IMAGES_LIMIT + 1)},
    ],
)
def test_what_an_edge_cannot_have_is_rejected(more: dict[str, Any]) -> None:
    found = settled(edge(**more))
    assert found.commands() == ()
    assert len(found.rejected) == 1
