"""What edges say to a chunk that waits for one: people are told it, and so is a job that nobody took in time."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Self

import msgspec

from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.scheduling.edges import desired_path, place_of
from datamodel.scheduling.fitting import HINDRANCES, hindrance, short_soon, unfit
from datamodel.scheduling.forecasts import Foresight
from datamodel.scheduling.placing import Rules, labels_of
from datamodel.scheduling.resources import amounts
from datamodel.scheduling.service import config_paths

HAS_ROOM = "HasRoom"
EDGES_LIMIT = 10_000
"""Of more edges, the rest is not asked."""


class EdgesThat(msgspec.Struct, frozen=True, rename="camel"):
    """So many edges have the same to say to a chunk that waits: `HasRoom` where they take it. `example` is one of them, as
    `SITE/EDGE`, and `message` what that one says."""

    reason: str
    message: str
    edges: int
    example: str


class Asked(NamedTuple):
    """All of a job that edges answer to: what a chunk of it asks for, by resource, and where it may go."""

    amounts: tuple[tuple[str, int], ...]
    rules: Rules

    @classmethod
    def by(cls, job: Node, group: Node | None) -> Self:
        """What a job of this group asks for."""
        rules = Rules.of(job.spec, group.spec if group is not None else {})
        return cls(tuple(sorted(amounts(job.spec["requests"]).items())), rules)


class Described(NamedTuple):
    """An edge, its place in the desired plane, what there is of it, how much of that is counted on, and its labels."""

    edge: Node
    desired: Node | None
    pool: Pool | None
    counted_on: Pool | None
    labels: Mapping[str, str]


def beside(edges: Iterable[Node]) -> set[str]:
    """The paths of what has to be known of edges beside themselves and their pools."""
    return {path for edge in edges for path in _beside(edge)}


def described(
    edges: Iterable[Node], nodes: Mapping[str, Node], pools: Mapping[str, Pool], foresight: Foresight
) -> list[Described]:
    """The edges with what there is of them among these nodes and pools, for who looks so far ahead."""
    found: list[Described] = []
    for edge in edges:
        desired, site, config = (nodes.get(path) for path in _beside(edge))
        pool = pools.get(edge.path)
        counted_on = foresight.counted_on(edge.spec, pool) if pool is not None else None
        found.append(Described(edge, desired, pool, counted_on, labels_of(edge, site, config)))
    return found


def answers(edges: Iterable[Described], asked: Asked) -> list[EdgesThat]:
    """What they say to a chunk: who takes it first, then the most frequent reasons."""
    wanted, found = dict(asked.amounts), dict[str, EdgesThat]()
    for one in edges:
        reason, message = _answer(one, wanted, asked.rules)
        before = found.get(reason)
        found[reason] = (
            msgspec.structs.replace(before, edges=before.edges + 1)
            if before is not None
            else EdgesThat(reason, message, 1, "/".join(place_of(one.edge.path)))
        )
    return sorted(found.values(), key=lambda some: (some.reason != HAS_ROOM, -some.edges, some.reason))


def why_waiting(edges: Sequence[EdgesThat]) -> str:
    """All of it in a sentence."""
    if not edges:
        return "there is no edge"
    if edges[0].reason == HAS_ROOM:
        return f"{edges[0].example} has room, and they are placed next"
    reasons = (f"{some.edges} {'is' if some.edges == 1 else 'are'} {HINDRANCES[some.reason]}" for some in edges)
    return f"of {sum(some.edges for some in edges)} edges, {', '.join(reasons)} ({edges[0].example} {edges[0].message})"


def _beside(edge: Node) -> tuple[str, str, str]:
    place = place_of(edge.path)
    return desired_path(*place), *config_paths(*place)


def _answer(one: Described, asked: Mapping[str, int], rules: Rules) -> tuple[str, str]:
    pool, stands = one.pool, hindrance(one.edge, one.desired, one.pool)
    if stands is not None:
        return stands
    assert pool is not None, "else it is a hindrance"
    found = unfit(one.labels, pool.capacity, pool.free, asked, rules)
    if found is None and one.counted_on is not None:
        found = short_soon(one.counted_on.free, asked)
    return found or (HAS_ROOM, "has room")
