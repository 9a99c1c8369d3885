"""Who goes before whom, by numbers: placement goes by them, and people are told them."""

from collections.abc import Iterable, Mapping

from datamodel.kinds import Amounts
from datamodel.node import Node
from datamodel.scheduling.scheduler import ARRIVAL, PRIORITY_DEFAULT


def rank_of(job: Node, order: str, ageing_s: float) -> float:
    """The smallest of a group goes first; of equal ones, who came first. A point of priority is worth `ageing_s` seconds of
    waiting."""
    if order == ARRIVAL:
        return 0.0
    priority: int = job.spec.get("priority", PRIORITY_DEFAULT)
    return job.created_at.timestamp() - priority * ageing_s


def share(used: Amounts, capacity: Mapping[str, int], weight: float) -> float:
    """The part that a group has of the resource of which it has the largest part, over its weight: its dominant share (Ghodsi
    et al., Dominant Resource Fairness, 2011)."""
    parts = (amount / capacity[name] for name, amount in used.items() if capacity.get(name, 0) > 0)
    return max(parts, default=0.0) / weight


def quota_left(quota: Mapping[str, int], used: Amounts, signature: Iterable[tuple[str, int]]) -> int | None:
    """How many such chunks a quota leaves room for; None for any number."""
    room = [(quota[name] - used.get(name, 0)) // amount for name, amount in signature if name in quota]
    return max(0, min(room)) if room else None
