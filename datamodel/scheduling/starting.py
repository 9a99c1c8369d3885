"""When the next chunk of a job may be placed, as far as anything is known of that; and what it is known by."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from datamodel.scheduling.answers import EdgesThat
from datamodel.scheduling.queueing import Ahead
from datamodel.scheduling.waiting import GANG, NO_EDGE, NO_ROOM, QUEUED, Reason

_YEAR_MIN = 366 * 24 * 60


class Start(msgspec.Struct, frozen=True, rename="camel"):
    """`at` is the time (RFC 3339), empty where nothing can be said; `basis` is a sentence of what it rests on, or why there
    is none."""

    at: str
    basis: str


def start_of(
    reason: Reason, edges: Sequence[EdgesThat], rooms: int, ahead: Ahead, chunks_per_minute: float, now: datetime
) -> Start:
    """Of a job that waits for an edge, for this reason; there is room for `rooms` of its chunks. `chunks_per_minute` is how
    many chunks succeeded lately, all over: where it goes on so, as many are placed."""
    if reason.reason == NO_EDGE:
        return Start("", "no edge that there is could take it")
    if reason.reason == GANG:
        return Start("", "its chunks need room at the same time, and nothing tells when there is")
    if reason.reason not in (QUEUED, NO_ROOM):
        return Start("", f"it is not known when it ends that {reason.message}")
    if ahead.chunks < rooms and not ahead.at_least:
        before = f"{ahead.chunks} chunks go before it, and there is room for {rooms} such as its own"
        return Start(_told(now), before if ahead.chunks else f"{edges[0].example} has room, and nothing goes before it")
    if chunks_per_minute <= 0:
        return Start("", "no chunk has succeeded lately, so nothing tells when there is room")
    minutes = (ahead.chunks + 1) / chunks_per_minute
    if minutes > _YEAR_MIN:
        return Start("", f"as chunks have succeeded lately, {chunks_per_minute:g} a minute, not within a year")
    before = f"{'at least ' if ahead.at_least else ''}{ahead.chunks} chunks go before it"
    at = _told(now + timedelta(minutes=minutes))
    return Start(at, f"{before}, and {chunks_per_minute:g} a minute have succeeded lately")


def _told(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
