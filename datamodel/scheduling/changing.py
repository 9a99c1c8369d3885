"""What would have to change for a chunk that waits to be placed: the smallest change, all of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from datamodel.kinds import Amounts
from datamodel.scheduling.answers import Asked, Described, spot_of
from datamodel.scheduling.edges import ONLINE, place_of
from datamodel.scheduling.placing import SITE
from datamodel.scheduling.resources import measure
from datamodel.scheduling.waiting import Standing, lacking

RESUME_SCHEDULER, RESUME_GROUP, RAISE_JOBS, RAISE_QUOTA = (
    "ResumeScheduler",
    "ResumeGroup",
    "RaiseJobsLimit",
    "RaiseQuota",
)
UNCORDON, WINDOW_ENDS, MORE_ROOM, MORE_ROOMS, APART = "Uncordon", "MaintenanceEnds", "MoreRoom", "MoreRooms", "Leave"
BE_ONLINE, MEND, LABEL, SITE_OF_GROUP, LARGER, NEW_EDGE = (
    "BeOnline",
    "Mend",
    "Label",
    "AllowSite",
    "LargerEdge",
    "NewEdge",
)
_EFFORT = {
    UNCORDON: 1,
    WINDOW_ENDS: 2,
    MORE_ROOM: 3,
    APART: 4,
    BE_ONLINE: 5,
    MEND: 6,
    LABEL: 7,
    SITE_OF_GROUP: 8,
    LARGER: 9,
}
"""What is smaller: an operator's word before what time brings, and that before another machine."""


class Change(msgspec.Struct, frozen=True, rename="camel"):
    """Something that would have to be otherwise: what, in a word and in a sentence; `edge` (`SITE/EDGE`) is where, if that
    is one."""

    what: str
    message: str
    edge: str = ""


class _Step(NamedTuple):
    what: str
    message: str
    size: float = 0.0


def changes(standing: Standing, rooms: int, nearest: Sequence[Change]) -> list[Change]:
    """All that would have to be otherwise for the next chunk (of a gang, all of them) to find its place. There is room for
    `rooms` chunks; where for none, `nearest` are the changes of an edge."""
    found = list(_of_the_group(standing))
    if rooms >= standing.together:
        return found
    if rooms:
        return [*found, Change(MORE_ROOMS, f"room for {standing.together - rooms} more chunks at the same time")]
    return [*found, *nearest]


def nearest_edge(edges: Iterable[Described], asked: Asked, group: str) -> list[Change]:
    """What would have to be otherwise of the edge of which the least would have to be, for a chunk of a job in this group."""
    nearest = min(((_cost(steps), edge, steps) for edge, steps in _each(edges, asked, group)), default=None)
    if nearest is None:
        wanted = " and ".join(measure(name, amount) for name, amount in asked.amounts)
        return [Change(NEW_EDGE, f"an edge with {wanted}")]
    _, edge, steps = nearest
    return [Change(step.what, step.message, edge) for step in steps]


def _of_the_group(standing: Standing) -> Iterator[Change]:
    group = standing.group
    if standing.scheduler_paused:
        yield Change(RESUME_SCHEDULER, "the scheduler goes on: `paused` of /config/scheduler is false")
    if standing.group_paused:
        yield Change(RESUME_GROUP, f"the group {group} goes on: its `paused` is false")
    limit = standing.jobs_limit
    if limit is not None and standing.jobs >= limit and not standing.begun:
        yield Change(RAISE_JOBS, f"maxJobsInFlight of the group {group} from {limit} to {standing.jobs + 1}")
    for name, amount in lacking(standing).items():
        before, after = measure(name, standing.quota[name]), measure(name, amount)
        yield Change(RAISE_QUOTA, f"the quota of the group {group} from {before} to {after}")


def _cost(steps: list[_Step]) -> tuple[int, int, float]:
    """The fewest steps, then the least effort, then the least amount."""
    return len(steps), sum(_EFFORT[step.what] for step in steps), sum(step.size for step in steps)


def _each(edges: Iterable[Described], asked: Asked, group: str) -> Iterator[tuple[str, list[_Step]]]:
    for one in edges:
        if one.pool is not None and one.desired is not None:
            name = "/".join(place_of(one.edge.path))
            yield name, list(_steps(one, name, one.pool.capacity, one.pool.free, asked, group))


def _steps(one: Described, name: str, capacity: Amounts, free: Amounts, asked: Asked, group: str) -> Iterator[_Step]:
    """All that keeps an edge from taking a chunk."""
    if one.edge.phase != ONLINE:
        yield _Step(BE_ONLINE, f"{name} is online")
    if one.edge.spec["trouble"]:
        yield _Step(MEND, f"{name} can start something again: {one.edge.spec['trouble']}")
    if (window := one.edge.status.get("maintenance")) is not None:
        yield _Step(WINDOW_ENDS, f"the maintenance of {name} ends, as it does at {window['until']}")
    elif one.desired is not None and one.desired.spec["cordoned"]:
        yield _Step(UNCORDON, f"uncordon {name}")
    rules, site = asked.rules, one.labels[SITE]
    if rules.sites and site not in rules.sites:
        yield _Step(SITE_OF_GROUP, f"the site {site} is one of those of the group {group}")
    if rules._replace(sites=()).bar(one.labels) is not None:
        yield _Step(LABEL, f"{name} has the labels that are required: {rules.required}")
    if asked.taken and spot_of(one.edge.path, asked.apart) in asked.taken:
        yield _Step(APART, f"the job's chunk on {spot_of(one.edge.path, asked.apart)} has ended")
    wanted = dict(asked.amounts)
    larger = _short(wanted, capacity, capacity)
    if larger is not None:
        yield _Step(LARGER, f"{name} with {larger[0]} more", larger[1])
    elif (short := _short(wanted, free, capacity)) is not None:
        yield _Step(MORE_ROOM, f"{name} with {short[0]} more free", short[1])


def _short(wanted: Mapping[str, int], has: Amounts, capacity: Amounts) -> tuple[str, float] | None:
    """How much is missing, in words, and as the sum of its parts of what there is in all."""
    missing = {name: amount - has.get(name, 0) for name, amount in wanted.items() if amount > has.get(name, 0)}
    if not missing:
        return None
    told = " and ".join(measure(name, amount) for name, amount in sorted(missing.items()))
    return told, sum(amount / max(1, capacity.get(name, 0)) for name, amount in missing.items())
