"""A job's place in the queue: what goes before it, by the order in which placement takes what waits."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from datamodel.kinds import Amounts
from datamodel.scheduling.order import share
from datamodel.scheduling.scheduler import FAIR_SHARE


class Queued(NamedTuple):
    """A job with chunks that may be placed: where it stands in its group, how many there are, and what one asks for."""

    path: str
    group: str
    place: tuple[float, int]
    chunks: int
    asks: tuple[tuple[str, int], ...]


class Group(NamedTuple):
    """What the jobs of a group hold, and its weight. Of one that is paused nothing goes before anybody."""

    used: Amounts = {}
    weight: float = 1.0
    paused: bool = False


class Ahead(msgspec.Struct, frozen=True, rename="camel"):
    """So many jobs go before one, with so many chunks: of its group, and of all. Not all of those had to be looked at where
    they are `atLeast` so many."""

    group_jobs: int
    group_chunks: int
    jobs: int
    chunks: int
    at_least: bool = False


def ahead_of(
    job: Queued,
    others: Iterable[Queued],
    groups: Mapping[str, Group],
    capacity: Mapping[str, int],
    order: str,
    *,
    at_least: bool,
) -> Ahead:
    """What goes before a job, were all chunks placed one after the other and none of them ended. In the order `fairShare`, of
    another group goes what it may have until its share is the one that the job's group has by then. `others` are all that wait,
    or at least some. Who finds no room keeps nobody waiting."""
    lines: dict[str, list[Queued]] = {}
    for one in others:
        if one.path != job.path:
            lines.setdefault(one.group, []).append(one)
    own = [one for one in lines.pop(job.group, ()) if one.place < job.place]
    group = groups.get(job.group, Group())
    used = dict(group.used)
    for one in own:
        _add(used, one, one.chunks)
    level = share(used, capacity, group.weight)
    counts = [(1, one.chunks) for one in own]
    for name, line in lines.items():
        other = groups.get(name, Group())
        if other.paused:
            continue
        if order == FAIR_SHARE:
            counts += _until(sorted(line, key=lambda one: one.place), other, level, job.place, capacity)
        else:
            counts += [(1, one.chunks) for one in line if one.place < job.place]
    return Ahead(
        len(own), sum(one.chunks for one in own), len(counts), sum(chunks for _, chunks in counts), at_least=at_least
    )


def _until(
    line: Sequence[Queued], group: Group, level: float, place: tuple[float, int], capacity: Mapping[str, int]
) -> list[tuple[int, int]]:
    """What goes of a group before its share is above a level, or is at it and its next job comes after a place."""
    used, counts = dict(group.used), list[tuple[int, int]]()
    for one in line:
        now = share(used, capacity, group.weight)
        if now > level or (now == level and one.place > place):
            break
        chunks = min(one.chunks, _chunks_until(one, used, level * group.weight, capacity))
        counts.append((1, chunks))
        if chunks < one.chunks:
            break
        _add(used, one, chunks)
    return counts


def _chunks_until(one: Queued, used: Amounts, part: float, capacity: Mapping[str, int]) -> int:
    """How many of its chunks bring what is used to such a part of some resource: one at least."""
    needed = [
        -int(-(part * capacity[name] - used.get(name, 0)) // amount)
        for name, amount in one.asks
        if amount and capacity.get(name, 0) > 0
    ]
    return max(1, min(needed, default=1))


def _add(used: dict[str, int], one: Queued, chunks: int) -> None:
    for name, amount in one.asks:
        used[name] = used.get(name, 0) + amount * chunks
