"""What edges say to a chunk that waits for one: people are told it, and so is a job that nobody took in time."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Self

import msgspec

from datamodel.kinds import Amounts, Document
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.scheduling.edges import desired_path, place_of
from datamodel.scheduling.fitting import FULL, HINDRANCES, TAKEN, TOO_SMALL, Hindrance, hindrance, short_soon, unfit
from datamodel.scheduling.forecasts import Foresight
from datamodel.scheduling.placing import APART, SITES, Rules, labels_of
from datamodel.scheduling.resources import amounts, too_little
from datamodel.scheduling.service import config_paths

HAS_ROOM = "HasRoom"
EDGES_LIMIT = 10_000
"""Of more edges, the rest is not asked."""


class EdgesThat(msgspec.Struct, frozen=True, rename="camel"):
    """So many edges have the same to say to a chunk that waits: `HasRoom` where they take it. `example` is one of them, as
    `SITE/EDGE`, and `message` what that one says; `resource` is what there is too little of, where it is that."""

    reason: str
    message: str
    edges: int
    example: str
    resource: str = ""


class Asked(NamedTuple):
    """All of a job that edges answer to: what a chunk of it asks for, by resource, where it may go, and the edges (their paths)
    or sites that are taken since chunks of it are there that must be apart."""

    amounts: tuple[tuple[str, int], ...]
    rules: Rules
    apart: str = ""
    taken: frozenset[str] = frozenset()

    @classmethod
    def by(cls, job: Node, group: Node | None, places: Iterable[str] = ()) -> Self:
        """What a job of this group asks for, with chunks in flight at these paths of edges or below them."""
        rules = Rules.of(job.spec, group.spec if group is not None else {})
        wanted = tuple(sorted(amounts(job.spec["requests"]).items()))
        arranged: Document = (job.spec.get("placement") or {}).get("arrangement") or {}
        if arranged.get("chunks") != APART:
            return cls(wanted, rules)
        over = arranged["over"]
        return cls(wanted, rules, over, frozenset(spot_of(path, over) for path in places))


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


class Tally:
    """What edges say to a chunk, one after the other."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._wanted = dict(asked.amounts)
        self._found: dict[tuple[str, str], EdgesThat] = {}
        self._spots: set[str] = set()
        self.rooms = 0
        """For so many chunks there is room, on all of them together."""

    def bar(self, path: str, stands: Hindrance) -> None:
        """An edge, at its path in whichever plane, that takes nothing new."""
        self._count(path, stands)

    def ask(
        self,
        path: str,
        labels: Mapping[str, str],
        capacity: Amounts,
        free: Amounts,
        counted_on: Amounts | None = None,
    ) -> None:
        """An edge that takes work. `counted_on`: what of that which is free is counted on, where that is less."""
        asked = self._asked
        if asked.taken and spot_of(path, asked.apart) in asked.taken:
            self._count(path, Hindrance(TAKEN, f"has chunks of the job, which are apart over {asked.apart}"))
        elif (stands := unfit(labels, capacity, free, self._wanted, asked.rules)) is not None or (
            counted_on is not None and (stands := short_soon(counted_on, self._wanted)) is not None
        ):
            self._count(path, stands)
        else:
            self._count(path, Hindrance(HAS_ROOM, "has room"))
            self._make_room(path, free if counted_on is None else counted_on)

    def _count(self, path: str, said: Hindrance) -> None:
        reason, message, resource = said
        before = self._found.get((reason, resource))
        self._found[reason, resource] = (
            msgspec.structs.replace(before, edges=before.edges + 1)
            if before is not None
            else EdgesThat(reason, message, 1, "/".join(place_of(path)), resource)
        )

    @property
    def edges(self) -> list[EdgesThat]:
        """Who takes it first, then the most frequent reasons."""
        return sorted(
            self._found.values(), key=lambda some: (some.reason != HAS_ROOM, -some.edges, some.reason, some.resource)
        )

    def _make_room(self, path: str, free: Amounts) -> None:
        if self._asked.apart:
            self._spots.add(spot_of(path, self._asked.apart))
            self.rooms = len(self._spots)
        else:
            self.rooms += min(free[name] // amount for name, amount in self._asked.amounts)


def tallied(edges: Iterable[Described], asked: Asked) -> Tally:
    """What all of these say to a chunk."""
    tally = Tally(asked)
    for one in edges:
        stands = hindrance(one.edge, one.desired, one.pool)
        if stands is not None:
            tally.bar(one.edge.path, stands)
        elif one.pool is not None:
            counted_on = one.counted_on.free if one.counted_on is not None else None
            tally.ask(one.edge.path, one.labels, one.pool.capacity, one.pool.free, counted_on)
    return tally


def answers(edges: Iterable[Described], asked: Asked) -> list[EdgesThat]:
    """The same in short: who takes it first, then the most frequent reasons."""
    return tallied(edges, asked).edges


def filtered(edges: Sequence[EdgesThat]) -> str:
    """What each reason takes away, in a sentence without figures that change with each chunk that is placed elsewhere."""
    if not edges:
        return "there is no edge"
    return f"of {sum(some.edges for some in edges)} edges, {', '.join(map(_said, edges))}"


def why_waiting(edges: Sequence[EdgesThat]) -> str:
    """All of it in a sentence."""
    if not edges:
        return filtered(edges)
    if edges[0].reason == HAS_ROOM:
        return f"{edges[0].example} has room, and they are placed next"
    return f"{filtered(edges)} ({edges[0].example} {edges[0].message})"


def spot_of(path: str, over: str) -> str:
    """What chunks that must be apart have to be apart over, of an edge's path or one below it: the edge or its site."""
    site, edge = place_of(path)
    return site if over == SITES else f"{site}/{edge}"


def _said(some: EdgesThat) -> str:
    if some.reason in (TOO_SMALL, FULL) and some.resource:
        left = " left" if some.reason == FULL else ""
        return f"{some.edges} {'has' if some.edges == 1 else 'have'} {too_little(some.resource)}{left}"
    if some.reason == HAS_ROOM:
        return f"{some.edges} {'has' if some.edges == 1 else 'have'} room"
    return f"{some.edges} {'is' if some.edges == 1 else 'are'} {HINDRANCES[some.reason]}"


def _beside(edge: Node) -> tuple[str, str, str]:
    place = place_of(edge.path)
    return desired_path(*place), *config_paths(*place)
