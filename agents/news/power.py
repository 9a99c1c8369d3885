"""How much power an edge has now: what is told of it, and when."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import structlog

from agents.news.ports import Changes, Tell
from datamodel.errors import Invalid, TendrilError
from datamodel.scheduling.wire import Foreseen

READ_S = 5.0
"""How often the power is looked at; no edge tells of it more often."""
STEP = 0.01
"""By so much of what is declared it must differ to be worth telling: each time is an event of the log."""
HOLD_S = 300.0
"""For how long the last good reading stays where there is none."""
_log = structlog.get_logger("power")


class Power(NamedTuple):
    """What there is now, in watts, and what is expected, in order of time."""

    available_w: float
    forecast: tuple[Foreseen, ...] = ()


NO_POWER = Power(0.0)


class PowerSource(Protocol):
    """Where it is known from."""

    async def read(self, edges: Sequence[str]) -> Mapping[str, Power]:
        """Of each of these. Raises `Invalid`, in words for the operator, where it cannot be known."""
        ...


class PowerNews:
    """Tells of the power of each edge. Where its source has said nothing that can be read for `HOLD_S`, or has not since the
    start, an edge has none: more than there is would be worse than less."""

    def __init__(
        self,
        source: PowerSource,
        edges: Sequence[str],
        declared_w: float,
        clock: Callable[[], datetime],
        *,
        read_s: float = READ_S,
    ) -> None:
        """`declared_w` is an edge's, of which steps are parts; by `clock`, the forecast's moments are over. `read_s`: how often
        the source is asked."""
        self._source = source
        self._edges = tuple(edges)
        self._declared_w = declared_w
        self._clock = clock
        self._every_s = read_s
        self._told: dict[str, Power] = {}
        self._good: Mapping[str, Power] = dict.fromkeys(edges, NO_POWER)
        """What was read last."""
        self._good_s = -HOLD_S
        """When that was, in the loop's time."""
        self._trouble = ""

    async def first(self) -> Changes:
        self._told = await self._read()
        return {edge: _fields(power) for edge, power in self._told.items()}

    async def run(self, tell: Tell) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            news = {edge: power for edge, power in (await self._read()).items() if self._is_news(edge, power)}
            if news:
                with contextlib.suppress(TendrilError):  # what is not told is news the next time
                    await tell({edge: _fields(power) for edge, power in news.items()})
                    self._told |= news

    async def _read(self) -> dict[str, Power]:
        now_s = asyncio.get_running_loop().time()
        try:
            self._good, self._good_s = await self._source.read(self._edges), now_s
        except Invalid as error:
            self._complain(error.message)
        else:
            self._complain("")
        if now_s - self._good_s >= HOLD_S:
            return dict.fromkeys(self._edges, NO_POWER)
        ahead = self._clock()
        return {
            edge: power._replace(forecast=tuple(one for one in power.forecast if one.at > ahead))
            for edge, power in self._good.items()
        }

    def _complain(self, trouble: str) -> None:
        """Once for each trouble, and when it is over."""
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if trouble:
            _log.warning("how much power there is cannot be known", error=trouble, held_s=HOLD_S)
        else:
            _log.info("it is known again how much power there is")

    def _is_news(self, edge: str, power: Power) -> bool:
        """Whether it differs by a step from what was told, or the edge has some again, or none any more, or all; and what it
        expects, by more than that some of it has passed: once all has, the edge expects nothing."""
        told, now_w = self._told.get(edge, NO_POWER), power.available_w
        ahead = self._clock()
        if tuple(one for one in told.forecast if one.at > ahead) != power.forecast:
            return True
        if told.forecast and not power.forecast:
            return True
        is_at_end = now_w in (0.0, self._declared_w) and now_w != told.available_w
        return is_at_end or abs(now_w - told.available_w) >= STEP * self._declared_w


def _fields(power: Power) -> dict[str, Any]:
    return {"power_w": power.available_w, "forecast": power.forecast or None}
