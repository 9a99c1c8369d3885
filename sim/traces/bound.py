"""How soon any scheduler could have been done with some work on some edges, at best: a lower bound, as bin packing has them.

**Prices.** Take functions that say how much of an edge a chunk takes, such that what is on an edge together never takes more
than 1 (`_parts`). Put a price on each of them at each kind of edge. At any moment, what runs on an edge costs at most the sum
of its prices, so all edges together take in at most K, the sum over all of them, each millisecond. A chunk costs, for each
millisecond that it runs, at least what it costs where it is cheapest among the edges that it fits on. So what is released from
r on is not done before r + (what all of it costs) / K. This holds for every choice of prices, and for every schedule, real or
ideal, preempting or not: it is weak duality of the linear program that shares out the work among the kinds of edges.

**Functions.** A resource's part of the edge's, which makes the bound total work / capacity; and u(k), k = 1, 2, 3, of Fekete
and Schepers (New classes of fast lower bounds for bin packing problems, Mathematical Programming 91, 2001), which see that of
what is larger than the half of an edge there is one on it at a time, of what is larger than a third two, and so on.

**Choice.** Prices are found by multiplicative weights: in turns, all work goes where it is cheapest, and becomes dearer there
(Arora, Hazan and Kale, Theory of Computing 8, 2012). How well that goes decides how tight the bound is, not whether it holds.

And nobody is done before the last one that was released has run: r + its run time.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from datamodel.kinds import Amounts
from reconcilers.planning.backlog import Signature
from reconcilers.planning.views import Edge

STEPS = (1, 2, 3)
"""The k of the functions u(k)."""
ROUNDS = 200
EFFORT = 4_000_000
"""Parts that are looked at, at most about; rounds are fewer where there are many sizes."""
_RATE = 2.0

_Parts = tuple[float, ...]
_Prices = list[list[float]]
"""By kind of edge and by function; times the edges of the kind, they sum up to 1."""


class Work(NamedTuple):
    """So many equal chunks, none of which runs before its release, and each of which runs for so long."""

    release_ms: int
    run_ms: float
    chunks: int
    signature: Signature


def bound_ms(work: Sequence[Work], edges: Iterable[Edge]) -> float:
    """When the last of the work is done, at the earliest. There is an edge for each chunk."""
    longest_ms = max((one.release_ms + one.run_ms for one in work), default=0.0)
    lasting = [one for one in work if one.run_ms > 0]
    if not lasting:
        return longest_ms
    market = _Market(lasting, edges)
    return max(longest_ms, *(market.bound_ms(prices) for prices in market.choices()))


class _Market:
    """Kinds of edges, and sizes of chunks with what each takes there."""

    def __init__(self, work: Sequence[Work], edges: Iterable[Edge]) -> None:
        self._work = sorted(work, key=lambda one: -one.release_ms)
        kinds = Counter(tuple(sorted(edge.capacity.items())) for edge in edges)
        self._counts = list(kinds.values())
        self._capacities = [dict(kind) for kind in kinds]
        self._resources = sorted({name for one in work for name, _ in one.signature})
        self._totals: dict[Signature, float] = {}
        """Milliseconds that chunks of each size run."""
        for one in work:
            self._totals[one.signature] = self._totals.get(one.signature, 0.0) + one.chunks * one.run_ms
        self._parts = {size: self._offers(dict(size)) for size in self._totals}

    def choices(self) -> list[_Prices]:
        """The prices that make each resource's total work over its capacity, and the best ones that were found beside."""
        plain = [self._prices_of(resource) for resource in range(len(self._resources))]
        return [*plain, self._found(_mean(plain))]

    def bound_ms(self, prices: _Prices) -> float:
        """Of all the work released from some moment on, the latest."""
        costs = {size: _cheapest(offers, prices)[0] for size, offers in self._parts.items()}
        latest_ms = total_ms = 0.0
        for one in self._work:  # the last released first
            total_ms += costs[one.signature] * one.chunks * one.run_ms
            latest_ms = max(latest_ms, one.release_ms + total_ms)
        return latest_ms

    def _offers(self, size: Amounts) -> list[tuple[int, _Parts]]:
        """What such a chunk takes, of each kind of edges that it fits on."""
        return [
            (kind, tuple(part for name in self._resources for part in _parts(size.get(name, 0), has.get(name, 0))))
            for kind, has in enumerate(self._capacities)
            if all(amount <= has.get(name, 0) for name, amount in size.items())
        ]

    def _prices_of(self, resource: int) -> _Prices:
        name, width = self._resources[resource], 1 + len(STEPS)
        total = sum(count * has.get(name, 0) for count, has in zip(self._counts, self._capacities, strict=True))
        prices = [[0.0] * width * len(self._resources) for _ in self._capacities]
        for kind, has in enumerate(self._capacities):
            prices[kind][resource * width] = has.get(name, 0) / total
        return prices

    def _found(self, start: _Prices) -> _Prices:
        """Where all work goes where it is cheapest, what it takes most of becomes dearer; the best prices on the way."""
        even = 1 / sum(self._counts) / len(start[0])
        prices = [[(price + even) / 2 for price in row] for row in start]
        best, best_cost, mean = prices, 0.0, [[0.0] * len(row) for row in start]
        effort = sum(map(len, self._parts.values())) * len(start[0])
        for turn in range(max(10, min(ROUNDS, EFFORT // effort))):
            cost, loads = self._loads(prices)
            if cost > best_cost:
                best, best_cost = prices, cost
            most = max(max(row) for row in loads)
            rate = _RATE / math.sqrt(1 + turn)
            prices = self._normal(
                [
                    [price * math.exp(rate * load / most) for price, load in zip(row, its, strict=True)]
                    for row, its in zip(prices, loads, strict=True)
                ]
            )
            mean = [[a + b for a, b in zip(row, its, strict=True)] for row, its in zip(mean, prices, strict=True)]
        mean = self._normal(mean)
        return mean if self._loads(mean)[0] > best_cost else best

    def _loads(self, prices: _Prices) -> tuple[float, _Prices]:
        """What all the work costs, and how much of it there is on an edge of each kind, by function."""
        loads = [[0.0] * len(row) for row in prices]
        total = 0.0
        for size, work_ms in self._totals.items():
            cost, kind, parts = _cheapest(self._parts[size], prices)
            total += cost * work_ms
            row, each_ms = loads[kind], work_ms / self._counts[kind]
            for function, part in enumerate(parts):
                row[function] += part * each_ms
        return total, loads

    def _normal(self, prices: _Prices) -> _Prices:
        whole = sum(count * sum(row) for count, row in zip(self._counts, prices, strict=True))
        return [[price / whole for price in row] for row in prices]


def _parts(amount: int, has: int) -> _Parts:
    """What so much takes of an edge that has so much, by function: what fits together takes at most 1 by each of them."""
    if not has:
        return (0.0,) * (1 + len(STEPS))
    return (amount / has, *(_stepped(amount, has, step) for step in STEPS))


def _stepped(amount: int, has: int, step: int) -> float:
    """u(k) of a part x: x where (k + 1) x is whole, else the whole number below it over k."""
    whole, rest = divmod((step + 1) * amount, has)
    return whole / step if rest else amount / has


def _cheapest(offers: Sequence[tuple[int, _Parts]], prices: _Prices) -> tuple[float, int, _Parts]:
    """What a millisecond costs at least, and where."""
    return min(
        (sum(price * part for price, part in zip(prices[kind], parts, strict=True)), kind, parts)
        for kind, parts in offers
    )


def _mean(choices: Sequence[_Prices]) -> _Prices:
    return [[sum(prices) / len(choices) for prices in zip(*rows, strict=True)] for rows in zip(*choices, strict=True)]
