"""What edges say to a chunk that waits for one: people are told it, and so is a job that nobody took in time."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.scheduling.edges import place_of
from datamodel.scheduling.fitting import HINDRANCES, hindrance
from datamodel.scheduling.resources import CPU, MEMORY, POWER

HAS_ROOM, FULL, TOO_SMALL = "HasRoom", "Full", "TooSmall"
_ARE = {**HINDRANCES, FULL: "full", TOO_SMALL: "too small"}
"""By reason, what edges are."""
_UNITS = {CPU: (1_000, "cores"), MEMORY: (1, "bytes of memory"), POWER: (1_000, "watts")}
"""Of each resource, how many of a pool's integers are one of people's, and how they name them."""


class EdgesThat(msgspec.Struct, frozen=True, rename="camel"):
    """So many edges have the same to say to a chunk that waits: `HasRoom` where they take it. `example` is one of them, as
    `SITE/EDGE`, and `message` what that one says."""

    reason: str
    message: str
    edges: int
    example: str


Described = tuple[Node, Node | None, Pool | None]
"""An edge, its place in the desired plane, and what there is of it."""


class Answers:
    """Counts what edges say to a chunk that asks for so much, by resource."""

    def __init__(self, asked: Mapping[str, int]) -> None:
        self._asked = asked
        self._found: dict[str, EdgesThat] = {}

    def add(self, edges: Iterable[Described]) -> None:
        for edge, desired, pool in edges:
            reason, message = _answer(edge, desired, pool, self._asked)
            before = self._found.get(reason)
            self._found[reason] = (
                msgspec.structs.replace(before, edges=before.edges + 1)
                if before is not None
                else EdgesThat(reason, message, 1, "/".join(place_of(edge.path)))
            )

    def in_order(self) -> list[EdgesThat]:
        """Who takes it first, then the most frequent reasons."""
        return sorted(self._found.values(), key=lambda some: (some.reason != HAS_ROOM, -some.edges, some.reason))


def why_waiting(edges: Sequence[EdgesThat]) -> str:
    """All of it in a sentence."""
    if not edges:
        return "there is no edge"
    if edges[0].reason == HAS_ROOM:
        return f"{edges[0].example} has room, and they are placed next"
    reasons = (f"{some.edges} {'is' if some.edges == 1 else 'are'} {_ARE[some.reason]}" for some in edges)
    return f"of {sum(some.edges for some in edges)} edges, {', '.join(reasons)} ({edges[0].example} {edges[0].message})"


def _answer(edge: Node, desired: Node | None, pool: Pool | None, asked: Mapping[str, int]) -> tuple[str, str]:
    stands = hindrance(edge, desired, pool)
    if stands is not None:
        return stands
    assert pool is not None, "else it is a hindrance"
    small = next((name for name in sorted(asked) if asked[name] > pool.capacity.get(name, 0)), None)
    if small is not None:
        return TOO_SMALL, f"has {_amount(small, pool.capacity)}, and a chunk asks for {_amount(small, asked)}"
    lacking = pool.lacking(asked)
    if lacking is not None:
        free = {lacking: max(0, pool.free[lacking])}
        return FULL, f"has {_amount(lacking, free)} left, and a chunk asks for {_amount(lacking, asked)}"
    return HAS_ROOM, "has room"


def _amount(resource: str, of: Mapping[str, int]) -> str:
    unit, name = _UNITS[resource]
    return f"{of.get(resource, 0) / unit:g} {name}" if unit > 1 else f"{of.get(resource, 0)} {name}"
