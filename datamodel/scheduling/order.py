"""Who goes before whom, by numbers: placement goes by them, and people are told them."""

from collections.abc import Iterable, Mapping

from datamodel.kinds import Amounts
from datamodel.node import Node
from datamodel.scheduling.scheduler import ARRIVAL, PRIORITY_DEFAULT

_BAND_S = 2.0**36
"""More seconds than anybody waits, and what priority is worth of them."""


def band_of(priority: int, margin: int | None) -> int:
    """Where what matters less by a `margin` is stopped for who matters more, who might be stopped goes after all for whom: else
    it would take the room again. The smallest goes first; all are alike where nothing is stopped."""
    return -(priority // margin) if margin is not None else 0


def rank_of(job: Node, order: str, ageing_s: float, margin: int | None = None) -> float:
    """The smallest of a group goes first; of equal ones, who came first. A point of priority is worth `ageing_s` seconds of
    waiting, within a band."""
    priority: int = job.spec.get("priority", PRIORITY_DEFAULT)
    band_s = band_of(priority, margin) * _BAND_S
    return band_s if order == ARRIVAL else band_s + job.created_at.timestamp() - priority * ageing_s


def share(used: Amounts, capacity: Mapping[str, int], weight: float) -> float:
    """The part that a group has of the resource of which it has the largest part, over its weight: its dominant share (Ghodsi
    et al., Dominant Resource Fairness, 2011)."""
    parts = (amount / capacity[name] for name, amount in used.items() if capacity.get(name, 0) > 0)
    return max(parts, default=0.0) / weight


def quota_left(quota: Mapping[str, int], used: Amounts, signature: Iterable[tuple[str, int]]) -> int | None:
    """How many such chunks a quota leaves room for; None for any number."""
    room = [(quota[name] - used.get(name, 0)) // amount for name, amount in signature if name in quota]
    return max(0, min(room)) if room else None
