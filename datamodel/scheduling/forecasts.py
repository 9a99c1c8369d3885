"""Power that varies: what edges expect to have, and with how much of it placement counts."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Annotated, NamedTuple

import msgspec
from pydantic import Field

from datamodel.kinds import Document, Part
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.scheduling.moments import Moment
from datamodel.scheduling.resources import POWER, POWER_LIMIT_W, milliwatts

FORECAST_LIMIT = 48
"""Moments of an edge's forecast."""
HORIZON_LIMIT_S = 7 * 86_400.0


class PowerForecast(Part):
    """From a moment on an edge expects to have so much power, until the next one."""

    at: Moment
    power_w: Annotated[float, Field(ge=0, le=POWER_LIMIT_W, allow_inf_nan=False)]


def check_in_order(forecast: Sequence[PowerForecast] | None) -> None:
    """Raises `ValueError` where a moment does not come after the one before it."""
    if forecast and any(later.at <= earlier.at for earlier, later in pairwise(forecast)):
        raise ValueError("the moments of a forecast come one after the other")


class Foresight(NamedTuple):
    """How far placement looks ahead, and from when. `horizon_s` is None where it does not."""

    horizon_s: float | None
    now: datetime

    @classmethod
    def of(cls, scheduler: Node | None, now: datetime) -> "Foresight":
        """What the Scheduler's spec says."""
        return cls(scheduler.spec.get("forecastHorizonS") if scheduler is not None else None, now)

    def counted_on(self, edge: Document, pool: Pool) -> Pool:
        """What may be reserved of an edge with this spec: of its power, no more than the least that it expects to have within
        the horizon. The pool says what it has now."""
        return bounded(pool, self.least(edge))

    def again_s(self, edge: Document) -> float | None:
        """In how many seconds something else may be counted on, as far as the forecast goes: with the next moment that comes
        near enough, or passes. None where that is never."""
        if self.horizon_s is None:
            return None
        left = [(_at(one) - self.now).total_seconds() for one in edge.get("forecast") or ()]
        return min((wait for at in left for wait in (at, at - self.horizon_s) if wait > 0), default=None)

    def least(self, edge: Document) -> int | None:
        """The least power that an edge with this spec expects to have within the horizon, in the unit of pools; None where it
        says nothing of that."""
        if self.horizon_s is None:
            return None
        until = self.now + timedelta(seconds=self.horizon_s)
        return min(
            (milliwatts(one["powerW"]) for one in edge.get("forecast") or () if self.now < _at(one) <= until),
            default=None,
        )


def bounded(pool: Pool, power: int | None) -> Pool:
    """The pool, of whose power no more is counted on than that."""
    if power is None or power >= pool.capacity.get(POWER, 0):
        return pool
    return msgspec.structs.replace(pool, capacity={**pool.capacity, POWER: power})


def _at(one: Document) -> datetime:
    return datetime.fromisoformat(one["at"])
