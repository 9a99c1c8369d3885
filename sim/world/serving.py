"""What is asked of edges, and what they have, and whether it is so: what should follow by itself, where nothing is broken."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from datetime import datetime

from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.scheduling.attempts import RUN
from datamodel.scheduling.edges import desired_path, place_of
from datamodel.scheduling.resources import POWER, amounts
from datamodel.scheduling.scheduler import SCHEDULER
from datamodel.scheduling.service import (
    CORDON,
    CORDONED,
    DRAIN,
    DRAINED,
    DRAINING,
    OPEN,
    USE,
    config_paths,
    sheds,
)
from datamodel.state import State
from sim.world.engine import Engine
from sim.world.windows import due

Lack = tuple[Hashable, str, str]
"""What is not so: by which it is told again, in words, and the edge that must be whole for it to become so, if any."""


def is_used(edge: Node, state: State, now: datetime | None) -> bool:
    """Whether anything new may be placed there."""
    return due(state.nodes, *place_of(edge.path), now).intent == USE


def counted_on(edge: Node, state: State, now: datetime | None) -> Pool:
    """What there is of an edge: of its power no more than the least that it expects as far as operators look ahead."""
    pool, horizon_s = state.pools.get(edge.path, Pool()), state.nodes[SCHEDULER].spec.get("forecastHorizonS")
    if now is None or horizon_s is None:
        return pool
    expected = [(datetime.fromisoformat(one["at"]), one["powerW"]) for one in edge.spec.get("forecast", ())]
    near = [round(watts * 1000) for at, watts in expected if 0 < (at - now).total_seconds() <= horizon_s]
    return Pool({**pool.capacity, POWER: min([pool.capacity.get(POWER, 0), *near])}, pool.used)


def lacks(
    edge: Node, state: State, there: Mapping[str, Sequence[Node]], engine: Engine, now: datetime | None
) -> Iterator[Lack]:
    """Of an edge that is online, with what has not ended there, by the path of its place. `now` is None where the hub's clocks
    are wrong."""
    names = place_of(edge.path)
    place = desired_path(*names)
    wanted, left = due(state.nodes, *names, now), there.get(place, ())
    if edge.spec["capacity"]["powerW"] != engine.power.available_w:
        what = f"{edge.path} has {engine.power.available_w} W, and says {edge.spec['capacity']}"
        yield (edge.path, "power", engine.power), what, names[1]
    until = wanted.until.isoformat() if wanted.until is not None else None
    if (edge.status.get("maintenance") or {}).get("until") != until:
        yield (edge.path, until), f"{edge.path} is in maintenance until {until}, and it says {edge.status}", ""
    yield from _use(state.nodes.get(place), wanted.intent)
    for attempt in left if wanted.leaves else ():
        if attempt.spec["intent"] == RUN:
            yield (attempt.path, "drain"), f"{attempt.path} is to run on an edge that is drained", ""
    yield from _excess(edge, state, left)


def phases(config: Node, state: State, there: Mapping[str, Sequence[Node]], now: datetime | None) -> Iterator[Lack]:
    """What the status of what is asked of an edge has to say."""
    names = place_of(config.path)
    place = desired_path(*names)
    intent = due(state.nodes, *names, now).intent
    yield from _use(state.nodes.get(place), intent)
    phase = {USE: OPEN, CORDON: CORDONED, DRAIN: DRAINING if there.get(place) else DRAINED}[intent]
    if (config.phase, config.status.get("observedGeneration")) != (phase, config.generation):
        yield (config.path, phase, config.generation), f"{config.path} is {phase}, and it says {config.status}", ""


def _use(place: Node | None, intent: str) -> Iterator[Lack]:
    if place is not None and place.spec["cordoned"] != (intent != USE):
        yield (place.path, intent), f"{place.path} is to be {intent}, and its spec is {place.spec}", ""


def _excess(edge: Node, state: State, left: Sequence[Node]) -> Iterator[Lack]:
    """More is to run there than there is, where that is to go elsewhere."""
    names = place_of(edge.path)
    if not sheds(state.nodes.get(path) for path in config_paths(*names)):
        return
    pool, used = state.pools.get(edge.path, Pool()), dict[str, int]()
    for attempt in left:
        for name, much in amounts(attempt.spec["requests"]).items() if attempt.spec["intent"] == RUN else ():
            used[name] = used.get(name, 0) + much
    if any(much > pool.capacity.get(name, 0) for name, much in used.items()):
        what = f"{edge.path} has {dict(pool.capacity)}, and {used} of it is to run"
        yield (edge.path, "shed"), what, ""
