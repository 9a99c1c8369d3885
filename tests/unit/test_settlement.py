"""From reports to commands: what is believed, what is rejected, and that an end is never lost."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from datamodel import wire
from datamodel.command import Unit
from datamodel.prepare import prepare
from datamodel.scheduling.jobs import STEPS_LIMIT
from datamodel.scheduling.model import MODEL
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
