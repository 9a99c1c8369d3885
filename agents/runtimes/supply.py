"""How much power an edge can grant at a time. Times are seconds since the runtime was opened."""

import math
from dataclasses import dataclass
from typing import Protocol

from agents.runtimes.power import available_w, next_draw_s


class Supply(Protocol):
    """Where an edge's power comes from; pure."""

    def available_w(self, edge: str, at_s: float) -> float:
        """0 or more; with 0, what runs there stands still."""
        ...

    def next_change_s(self, edge: str, at_s: float) -> float:
        """When that may be another; infinite for never."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    """The same for every edge, for ever."""

    power_w: float

    def available_w(self, edge: str, at_s: float) -> float:  # noqa: ARG002
        return self.power_w

    def next_change_s(self, edge: str, at_s: float) -> float:  # noqa: ARG002
        return math.inf


@dataclass(frozen=True, slots=True)
class Drawn:
    """One of `power.LEVELS_W`, drawn anew for each edge every `power.PERIOD_S` seconds, by seed."""

    seed: int = 0

    def available_w(self, edge: str, at_s: float) -> float:
        return available_w(self.seed, edge, at_s)

    def next_change_s(self, edge: str, at_s: float) -> float:
        return next_draw_s(edge, at_s)
