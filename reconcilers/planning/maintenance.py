"""What an edge is to be used for now, by what operators ask of it and by the maintenance windows of it and of its site."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from datamodel.kinds import Document
from datamodel.node import Node
from datamodel.scheduling.giving_up import EDGE_DRAINED, EDGE_IN_MAINTENANCE, IntentReason
from datamodel.scheduling.maintenance import MOVE
from datamodel.scheduling.schedules import zone
from datamodel.scheduling.service import CORDON, DRAIN, USE, intent_of
from reconcilers.planning.schedules import following, newest_of


class Standing(NamedTuple):
    """What an edge is to be used for: an intent as operators give it. `leaves`: why what runs there is to go elsewhere now,
    None where it may stay. `until`: the end of the maintenance that it is in. `again_s`: in how many seconds time alone may
    change any of this."""

    intent: str
    leaves: IntentReason | None = None
    until: datetime | None = None
    again_s: float | None = None


class _Span(NamedTuple):
    """One window: it begins and ends, is told of before, and what runs then goes elsewhere or not."""

    told: datetime
    begin: datetime
    end: datetime
    moves: bool

    def is_on(self, now: datetime) -> bool:
        """Nothing new is to be placed in it."""
        return self.told <= now < self.end


def standing(config: Node | None, site: Node | None, now: datetime) -> Standing:
    """Of the edge that these are asked of, it and its site."""
    asked = intent_of(config)
    spans = list(_spans(_windows(config, site), now))
    on = [span for span in spans if span.is_on(now)]
    moving = [span for span in on if span.moves]
    drain_by = config.spec.get("drainBy") if config is not None and asked == DRAIN else None
    leaves_at = datetime.fromisoformat(drain_by) if drain_by else None
    reason: IntentReason | None = None
    if asked == DRAIN and (leaves_at is None or leaves_at <= now):
        reason = EDGE_DRAINED
    elif any(span.begin <= now for span in moving):
        reason = EDGE_IN_MAINTENANCE
    changes = [moment for span in spans for moment in (span.told, span.begin, span.end)]
    ahead = [moment for moment in (*changes, leaves_at) if moment is not None and moment > now]
    return Standing(
        DRAIN if asked == DRAIN or moving else CORDON if asked == CORDON or on else USE,
        reason,
        max((span.end for span in on), default=None),
        (min(ahead) - now).total_seconds() if ahead else None,
    )


def is_used(config: Node | None, site: Node | None, now: datetime) -> bool:
    """Whether anything new may be placed on an edge."""
    return standing(config, site, now).intent == USE


def has_windows(config: Node | None) -> bool:
    """Whether time alone may change what this edge, or the edges of this site, are used for."""
    return config is not None and bool(config.spec.get("maintenance"))


def maintenance_of(found: Standing) -> Document | None:
    """What the status of an edge says of the window that it is in."""
    return {"until": found.until.isoformat()} if found.until is not None else None


def _windows(*configs: Node | None) -> Iterator[Document]:
    for config in configs:
        if config is not None:
            yield from config.spec.get("maintenance") or ()


def _spans(windows: Iterable[Document], now: datetime) -> Iterator[_Span]:
    """Of each window those that are on or come next. Of one that comes again and again these are: the last that has begun, the
    last that is told of, and the next one."""
    for window in windows:
        notice, moves = timedelta(seconds=window.get("noticeS") or 0.0), window["drain"] == MOVE
        if "begin" in window:
            once = datetime.fromisoformat(window["begin"])
            yield _Span(once - notice, once, datetime.fromisoformat(window["end"]), moves)
            continue
        cron, where = window["cron"], zone(window.get("timeZone") or "UTC")
        told = now + notice
        begins = (newest_of(cron, where, now), newest_of(cron, where, told), following(cron, where, told))
        for begin in dict.fromkeys(begins):
            if begin is not None:
                yield _Span(begin - notice, begin, begin + timedelta(seconds=window["durationS"]), moves)
