"""What is held against agents' disks: windows, commits, and what is cleared away."""

from datetime import UTC, datetime
from typing import Literal

import msgspec
import pytest

from datamodel.node import Node
from datamodel.scheduling import wire
from datamodel.scheduling.edges import desired_path
from datamodel.state import State
from sim.world.outboxes import Outboxes

AT = datetime(2030, 1, 1, tzinfo=UTC)
MARK = "s/e/one"
ATTEMPT = "job-0-1"


class Seen:
    """Outboxes of one agent, and what they said."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.outboxes = Outboxes(self.complaints.append)

    def sends(self, first: int, *bodies: bytes) -> None:
        window = wire.Window(wire.WIRE_VERSION, "s", "e", "one", first, [msgspec.Raw(body) for body in bodies])
        self.outboxes.sent(wire.encode(window))


@pytest.fixture
def seen() -> Seen:
    return Seen()


def body(phase: Literal["running", "succeeded"], uid: str = "") -> bytes:
    return wire.encode(wire.AttemptReport("e", ATTEMPT, phase, AT, uid=uid))


def state(phase: str) -> State:
    found = State()
    path = f"{desired_path('s', 'e')}/attempts/{ATTEMPT}"
    status = {"phase": phase} if phase else {}
    found.nodes[path] = Node(path, "u", "Attempt", {}, {}, status, {}, (), 1, 1, 1, AT)
    return found


RUNNING, SUCCEEDED = body("running"), body("succeeded")


def test_of_two_hosts_the_one_that_was_started_first_is_not_believed_again(seen: Seen) -> None:
    seen.outboxes.began("s", "e", "first")
    seen.outboxes.began("s", "e", "second")
    seen.outboxes.kept("s/e/one", 1, [RUNNING, RUNNING], "first")
    seen.outboxes.kept("s/e/two", 1, [SUCCEEDED], "second")
    seen.outboxes.committed("s/e/one", 0, 1, state("running"))
    seen.outboxes.committed("s/e/two", 0, 1, state("succeeded"))
    assert seen.complaints == []
    seen.outboxes.committed("s/e/one", 1, 2, state("succeeded"))
    assert len(seen.complaints) == 1
    assert "is believed" in seen.complaints[0]
    seen.outboxes.restored()
    seen.outboxes.committed("s/e/one", 1, 2, state("succeeded"))
    assert len(seen.complaints) == 1


def test_what_an_agent_forgets_is_settled(seen: Seen) -> None:
    seen.outboxes.kept(MARK, 1, [RUNNING, SUCCEEDED], "copy")
    seen.outboxes.forgot(MARK, 1, state("running"), "copy")
    assert seen.complaints == []
    seen.outboxes.forgot(MARK, 2, state("running"), "copy")
    assert len(seen.complaints) == 1
    seen.outboxes.forgot(MARK, 2, state("running"), "copy")
    assert len(seen.complaints) == 1, "each once"


def test_what_is_on_the_disk_may_be_sent_and_sent_again(seen: Seen) -> None:
    seen.outboxes.kept(MARK, 1, [RUNNING, SUCCEEDED])
    seen.sends(1, RUNNING)
    seen.sends(2, SUCCEEDED)
    seen.sends(1, RUNNING, SUCCEEDED)
    assert seen.complaints == []
    seen.sends(3, SUCCEEDED)
    assert seen.complaints == [f"{MARK} sends a report 3 that is not on its disk"]


def test_nothing_is_passed_over_but_what_the_hub_has(seen: Seen) -> None:
    seen.outboxes.kept(MARK, 1, [RUNNING, SUCCEEDED, SUCCEEDED])
    seen.outboxes.committed(MARK, 0, 1, state("running"))
    seen.sends(2, SUCCEEDED)
    seen.outboxes.began("s", "e")
    seen.sends(2, SUCCEEDED)
    assert seen.complaints == []
    seen.outboxes.began("s", "e")
    seen.sends(3, SUCCEEDED)
    assert seen.complaints == [f"{MARK} passes over its reports 2 to 2"]


def test_what_counts_as_committed_was_there_and_is_settled(seen: Seen) -> None:
    seen.outboxes.kept(MARK, 1, [RUNNING, SUCCEEDED])
    seen.outboxes.committed(MARK, 0, 2, state("failed"))
    seen.outboxes.committed("s/e/a-rogues", 0, 9, state(""))
    seen.outboxes.committed(MARK, 0, 2, State())
    assert seen.complaints == []
    seen.outboxes.committed(MARK, 1, 2, state("running"))
    seen.outboxes.committed(MARK, 0, 1, state(""))
    seen.outboxes.committed(MARK, 2, 4, state("succeeded"))
    settled, running, never = seen.complaints
    assert settled.endswith("is running, and it counts as committed that it is succeeded")
    assert running.endswith("is new, and it counts as committed that it is running")
    assert never == f"{MARK} counts as committed through 4, and there never was a report 3"


def test_a_report_of_another_node_of_the_name_settles_nothing(seen: Seen) -> None:
    seen.outboxes.kept(MARK, 1, [body("succeeded", uid="before")])
    seen.outboxes.committed(MARK, 0, 1, state("running"))
    assert seen.complaints == []


def test_nothing_is_cleared_away_before_its_end_is_told(seen: Seen) -> None:
    seen.outboxes.cleared("s", "e", ATTEMPT, state("failed"))
    seen.outboxes.cleared("s", "e", ATTEMPT, State())
    assert seen.complaints == []
    seen.outboxes.kept(MARK, 1, [RUNNING])
    seen.outboxes.cleared("s", "e", ATTEMPT, state("running"))
    assert len(seen.complaints) == 1
    assert seen.complaints[0].endswith("is cleared away, and its end is told nowhere: it is running")
    seen.outboxes.kept(MARK, 2, [SUCCEEDED])
    seen.outboxes.cleared("s", "e", ATTEMPT, state("running"))
    assert len(seen.complaints) == 1
