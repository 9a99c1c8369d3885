"""When the next chunk of a job may be placed, as far as anything is known of that; and what it is known by."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from datamodel.scheduling.answers import HAS_ROOM, EdgesThat
from datamodel.scheduling.queueing import Ahead
from datamodel.scheduling.waiting import NO_EDGE, NO_ROOM, QUEUED, Reason

_YEAR_MIN = 366 * 24 * 60


class Start(msgspec.Struct, frozen=True, rename="camel"):
    """`at` is the time (RFC 3339), empty where nothing can be said; `basis` is a sentence of what it rests on, or why there
    is none."""

    at: str
    basis: str


def start_of(
    reason: Reason, edges: Sequence[EdgesThat], ahead: Ahead | None, chunks_per_minute: float, now: datetime
) -> Start:
    """Of a job that waits for an edge, for this reason. `chunks_per_minute` is how many chunks succeeded lately, all over:
    where it goes on so, as many are placed."""
    if reason.reason == NO_EDGE:
        return Start("", "no edge that there is could take it")
    if reason.reason not in (QUEUED, NO_ROOM):
        return Start("", f"it is not known when it ends that {reason.message}")
    if ahead is None:
        return Start("", "it is not known what goes before it")
    if edges and edges[0].reason == HAS_ROOM and not ahead.chunks and not ahead.at_least:
        return Start(_told(now), f"{edges[0].example} has room, and nothing goes before it")
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
