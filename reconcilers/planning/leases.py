"""Which attempts may go on under their leases, and whose chunks go elsewhere since nothing of them can run any more."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from datamodel.node import Node
from datamodel.scheduling.attempts import ABANDON, RUN
from datamodel.scheduling.edges import DISCONNECTED, LOST
from datamodel.scheduling.giving_up import LEASE_OVER

CUT = frozenset({DISCONNECTED, LOST})


class Over(NamedTuple):
    """Those whose leases are over, and in how many seconds the next one's is; None where nobody waits for any."""

    attempts: list[Node]
    next_s: float | None


def granted(attempts: Iterable[Node], asked: Iterable[str]) -> list[Node]:
    """Those of these attempts, which have not ended and have leases, that may go on: of an edge that asks for some by their
    names. What is to end is granted nothing more."""
    names = set(asked)
    return [one for one in attempts if one.path.rpartition("/")[2] in names and one.spec["intent"] == RUN]


def over(attempts: Iterable[Node], phase: str, left_s: Callable[[Node], float]) -> Over:
    """Of attempts, which have not ended and have leases, on an edge of this phase. `left_s(attempt)` is how long something of
    it may still run. Where an edge is heard from, what is to run there runs, or its end is told."""
    found: list[Node] = []
    next_s: float | None = None
    for attempt in attempts:
        if not _is_waited_for(attempt, phase):
            continue
        rest_s = left_s(attempt)
        if rest_s <= 0:
            found.append(attempt)
        else:
            next_s = rest_s if next_s is None else min(next_s, rest_s)
    return Over(found, next_s)


def _is_waited_for(attempt: Node, phase: str) -> bool:
    """Whether its chunk goes elsewhere as soon as it can."""
    if attempt.spec["intent"] == RUN:
        return phase in CUT
    return attempt.spec["intent"] == ABANDON and attempt.spec.get("intentReason") != LEASE_OVER
