"""What is held against logs in a world: what the hub is told, and what is cleared away."""

import pytest

from agents.runtimes.protocol import Observed, StepState
from datamodel.errors import Conflict
from datamodel.scheduling.logs import FRAME_VERSION, Dropped, Frame, Part, Position, Taken, encode
from sim.world.logbook import LINES, Logbook

KEY, ATTEMPT = "s.e.a-0-1", "a-0-1"
GONE = StepState("vanished", 0.0)
DONE = StepState("exited", 0.0, 1.0, 0)


class Seen:
    """One attempt that has written, and what was said of its log. Its first step begins with at least a line."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.logbook = Logbook(self.complaints.append)
        self.logbook.started(ATTEMPT, 0)
        self.logbook.ended(ATTEMPT, 0)
        self.written = self.logbook.page(ATTEMPT, 0, "").parts
        self._sequence = 0

    def tells(self, *parts: Part, last: bool = False) -> None:
        body = encode(Frame(FRAME_VERSION, 0, parts, Position(), Taken(), last))
        self._sequence = self.logbook.append(KEY, self._sequence, body)

    def cleared(self, step: StepState = DONE) -> list[str]:
        self.logbook.cleared(KEY, Observed("s", "e", ATTEMPT, (step,)))
        return self.complaints


@pytest.fixture
def seen() -> Seen:
    return Seen()


def test_pages_are_all_that_was_written(seen: Seen) -> None:
    after, parts = "", list[Part]()
    while (page := seen.logbook.page(ATTEMPT, 0, after)).parts:
        parts += page.parts
        after = page.cursor
    assert len(parts) - 1 in LINES
    assert seen.logbook.page(ATTEMPT, 1, "").parts == ()


def test_a_whole_log_is_fine_and_ends_with_a_mark_where_its_step_was_lost(seen: Seen) -> None:
    seen.tells(*seen.written, last=True)
    assert seen.cleared() == []
    assert seen.logbook.whole == 1
    assert seen.cleared(GONE), "there is no mark"
    lost = Seen()
    lost.tells(*lost.written, Dropped(0, None), last=True)
    assert lost.cleared(GONE) == []


def test_what_is_told_twice_or_was_never_written_is_found(seen: Seen) -> None:
    seen.tells(*seen.written)
    assert seen.complaints == []
    seen.tells(seen.written[-1])
    assert seen.complaints


def test_nothing_is_cleared_away_before_its_log_is_over(seen: Seen) -> None:
    seen.tells(*seen.written)
    assert seen.cleared(), "its last frame is missing"
    short = Seen()
    short.tells(*short.written[:-1], last=True)
    assert short.cleared(), "its last line is missing"
    assert Seen().cleared(), "nothing is there"


def test_what_nobody_can_know_is_not_held_against_anybody(seen: Seen) -> None:
    seen.logbook.wipe()
    assert seen.cleared() == []
    anew = Seen()
    anew.logbook.started(ATTEMPT, 0)
    anew.tells(*anew.written, *anew.written)
    assert anew.cleared() == []


def test_two_writers_do_not_write_over_each_other(seen: Seen) -> None:
    seen.tells(seen.written[0])
    with pytest.raises(Conflict):
        seen.logbook.append(KEY, 0, b"")
