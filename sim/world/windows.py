"""Maintenance windows as they are meant, reckoned apart from the product: what an edge is to be used for at the right time."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from datamodel.kinds import Document
from datamodel.node import Node
from datamodel.scheduling.service import CORDON, DRAIN, USE, config_paths, intent_of
from sim.world.script import Maintain


class Window(NamedTuple):
    """One that nothing is placed in: it is known from `told` on."""

    told: datetime
    begin: datetime
    end: datetime
    moves: bool


def window_of(wish: Maintain, now: datetime) -> Document:
    """The window that is asked for."""
    spec: Document = {"drain": "move" if wish.moves else "wait"}
    if wish.notice_s:
        spec["noticeS"] = wish.notice_s
    if wish.every_min:
        return {**spec, "cron": f"*/{wish.every_min} * * * *", "durationS": wish.lasts_s}
    begin = now + timedelta(seconds=wish.after_s)
    return {**spec, "begin": begin.isoformat(), "end": (begin + timedelta(seconds=wish.lasts_s)).isoformat()}


class Due(NamedTuple):
    """What an edge is to be used for, whether what runs there is to go elsewhere, and until when it is in maintenance."""

    intent: str
    leaves: bool
    until: datetime | None


def due(nodes: Mapping[str, Node], site: str, edge: str, now: datetime | None) -> Due:
    """Of an edge of this graph. `now` is None where nobody knows the right time: there are no windows then."""
    above, config = (nodes.get(path) for path in config_paths(site, edge))
    asked, drain_by = intent_of(config), config.spec.get("drainBy") if config is not None else None
    windows = [one for of in (above, config) if of is not None and now is not None for one in on(of.spec, now)]
    moving = [window for window in windows if window.moves]
    intent = DRAIN if moving else CORDON if windows else USE
    return Due(
        asked if asked == DRAIN or intent == USE else intent,
        (asked == DRAIN and drain_by is None) or any(now is not None and one.begin <= now for one in moving),
        max((window.end for window in windows), default=None),
    )


def on(spec: Document, now: datetime) -> Iterator[Window]:
    """The windows that are on, of what is asked of an edge or a site. Those that come again begin every so many minutes, as a
    world's do, and the newest that is told of is meant."""
    for one in spec.get("maintenance") or ():
        notice, moves = timedelta(seconds=one.get("noticeS") or 0.0), one["drain"] == "move"
        if "begin" in one:
            begins, lasts = [datetime.fromisoformat(one["begin"])], None
        else:
            every_s = 60 * int(one["cron"].split()[0].removeprefix("*/"))
            lasts = timedelta(seconds=one["durationS"])
            begins = list(dict.fromkeys(_newest(at, every_s) for at in (now, now + notice)))
        for begin in begins:
            end = begin + lasts if lasts is not None else datetime.fromisoformat(one["end"])
            if begin - notice <= now < end:
                yield Window(begin - notice, begin, end, moves)


def _newest(at: datetime, every_s: int) -> datetime:
    """Of moments that minutes of an hour divide by, the last that is not after a time."""
    hour = at.replace(minute=0, second=0, microsecond=0)
    return hour + timedelta(seconds=(at - hour).total_seconds() // every_s * every_s)
