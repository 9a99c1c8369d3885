"""How silence is judged."""

import pytest

from datamodel.scheduling.edges import DISCONNECTED, GONE, LOST, ONLINE, SUSPECT
from reconcilers.planning.liveness import Thresholds, judged

THRESHOLDS = Thresholds(suspect_s=5.0, disconnected_s=30.0, lost_s=900.0)


@pytest.mark.parametrize(
    ("silent_s", "phase", "recheck_s"),
    [
        (0.0, ONLINE, 5.0),
        (4.0, ONLINE, 1.0),
        (5.0, SUSPECT, 25.0),
        (29.0, SUSPECT, 1.0),
        (30.0, DISCONNECTED, 870.0),
        (899.0, DISCONNECTED, 1.0),
        (900.0, LOST, None),
        (1e9, LOST, None),
    ],
)
@pytest.mark.parametrize("before", ["", ONLINE])
def test_who_was_heard_is_judged_by_the_silence_alone(
    before: str, silent_s: float, phase: str, recheck_s: float | None
) -> None:
    assert judged(before, silent_s, heard=True, thresholds=THRESHOLDS) == (phase, recheck_s)


@pytest.mark.parametrize(
    ("before", "silent_s", "phase"),
    [
        (SUSPECT, 4.0, ONLINE),
        (LOST, 0.0, ONLINE),
        (LOST, 6.0, LOST),
        (LOST, 31.0, LOST),
        (DISCONNECTED, 6.0, DISCONNECTED),
        (DISCONNECTED, 901.0, LOST),
    ],
)
def test_only_a_heartbeat_that_is_new_makes_an_edge_better(before: str, silent_s: float, phase: str) -> None:
    assert judged(before, silent_s, heard=True, thresholds=THRESHOLDS)[0] == phase


@pytest.mark.parametrize(
    ("before", "silent_s", "phase"),
    [
        ("", 0.0, ""),
        (ONLINE, 1.0, ONLINE),
        (ONLINE, 6.0, SUSPECT),
        (SUSPECT, 1.0, SUSPECT),
        (SUSPECT, 31.0, DISCONNECTED),
        (DISCONNECTED, 1.0, DISCONNECTED),
        (LOST, 1.0, LOST),
        (LOST, 901.0, LOST),
    ],
)
def test_who_was_never_heard_gets_no_better_and_a_full_time(before: str, silent_s: float, phase: str) -> None:
    assert judged(before, silent_s, heard=False, thresholds=THRESHOLDS)[0] == phase


@pytest.mark.parametrize(
    ("before", "silent_s", "heard", "phase"),
    [
        (ONLINE, 4.0, True, ONLINE),
        (ONLINE, 6.0, True, SUSPECT),
        (SUSPECT, 31.0, True, GONE),
        (GONE, 901.0, True, GONE),
        (GONE, 1.0, True, ONLINE),
        (LOST, 901.0, True, GONE),
        (DISCONNECTED, 1.0, False, GONE),
        (GONE, 1.0, False, GONE),
    ],
)
def test_who_was_drained_before_it_fell_silent_is_gone(
    before: str, silent_s: float, phase: str, *, heard: bool
) -> None:
    assert judged(before, silent_s, heard=heard, thresholds=THRESHOLDS, drained=True)[0] == phase


@pytest.mark.parametrize(("heard", "silent_s", "phase"), [(True, 1.0, ONLINE), (True, 31.0, LOST), (False, 1.0, LOST)])
def test_who_is_gone_and_wanted_again_is_lost_until_it_is_heard_from(
    silent_s: float, phase: str, *, heard: bool
) -> None:
    assert judged(GONE, silent_s, heard=heard, thresholds=THRESHOLDS)[0] == phase
