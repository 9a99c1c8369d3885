"""The power of simulated edges, as their supply has it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from math import isfinite

from agents.news.power import Power
from agents.runtimes.supply import Supply
from datamodel.scheduling.wire import Foreseen

FORESEEN = 6
"""Changes that are told ahead."""


class SuppliedPower:
    """The supply begins when it is read first, which is when its runtime was opened."""

    def __init__(self, supply: Supply, clock: Callable[[], datetime]) -> None:
        self._supply = supply
        self._clock = clock
        self._began: tuple[float, datetime] | None = None

    async def read(self, edges: Sequence[str]) -> Mapping[str, Power]:
        now_s = asyncio.get_running_loop().time()
        if self._began is None:
            self._began = now_s, self._clock()
        began_s, began = self._began
        return {edge: self._power(edge, now_s - began_s, began) for edge in edges}

    def _power(self, edge: str, at_s: float, began: datetime) -> Power:
        """So many seconds after it began."""
        forecast: list[Foreseen] = []
        later_s = at_s
        while len(forecast) < FORESEEN and isfinite(later_s := self._supply.next_change_s(edge, later_s)):
            at = began + timedelta(milliseconds=round(later_s * 1000))  # the same each time, whatever floats say
            if forecast and at <= forecast[-1].at:
                break
            forecast.append(Foreseen(at, self._supply.available_w(edge, later_s)))
        return Power(self._supply.available_w(edge, at_s), tuple(forecast))
