"""The audit on random histories of real commands: silent on all of them, and not on what they become by a mutation."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from datamodel.audit import Audit
from datamodel.event import Event
from datamodel.kinds import Claim, Document, Kind
from datamodel.ledger import ALL, Entry, Totals
from datamodel.model import Model
from datamodel.pool import Pool
from datamodel.rows import Keys, Rows
from datamodel.scheduling.attempts import ENDED, RETRY, Attempt
from datamodel.scheduling.edges import inventory_path
from datamodel.scheduling.jobs import FAILED, PENDING, RUNNING, Job
from datamodel.scheduling.model import MODEL
from datamodel.state import State, fold
from tests.graph import JOBS, memory_store
from tests.histories import MOVES, History, Move, moves


class Auditor:
    """Follows a history as it grows, and compares what each move touched."""

    def __init__(self, history: History, audit: Audit) -> None:
        self.history, self.audit = history, audit
        self.found: list[str] = []

    def follow(self) -> None:
        touched = Keys()
        for event in self.history.events(self.audit.head.position):
            self.found += self.audit.step(event)
            touched.touch(MODEL, event)
        self.found += self.audit.compare(Rows.of(MODEL, self.history.store.state, touched), touched)


@settings(max_examples=150, deadline=None)
@given(moves=moves, split=st.integers(0, 60))
def test_the_audit_is_silent_on_what_the_rule_book_admits(moves: list[Move], split: int) -> None:
    history = History()
    history.begin()
    auditor = Auditor(history, Audit(MODEL))
    history.grown = auditor.follow
    history.take(moves[:split])
    auditor.follow()
    later = Auditor(history, Audit.at(MODEL, auditor.audit.head, history.store.state))
    history.grown = later.follow
    history.take(moves[split:])
    auditor.follow()
    later.follow()
    everything = Rows.of(MODEL, history.store.state)
    assert not [*auditor.found, *later.found, *auditor.audit.compare(everything), *later.audit.compare(everything)]


def written(moves: Sequence[Move]) -> History:
    history = History()
    history.begin()
    history.take(moves)
    return history


def judged(events: Sequence[Event], state: State) -> list[str]:
    """What the audit says of a log and of the state that is stored with it."""
    audit = Audit(MODEL)
    return [*(sentence for event in events for sentence in audit.step(event)), *audit.compare(Rows.of(MODEL, state))]


def renumbered(events: Sequence[Event]) -> list[Event]:
    """With dense positions, and the times in order: so that a mutation is not told by these alone."""
    times = sorted(event.at for event in events)
    return [structs.replace(e, position=n, at=at) for n, (e, at) in enumerate(zip(events, times, strict=True), 1)]


def drop(events: list[Event], at: int) -> list[Event]:
    return [*events[:at], *events[at + 1 :]]


def duplicate(events: list[Event], at: int) -> list[Event]:
    return [*events[: at + 1], structs.replace(events[at], id="copy"), *events[at + 1 :]]


def swap(events: list[Event], at: int) -> list[Event]:
    return [*events[:at], *reversed(events[at : at + 2]), *events[at + 2 :]]


def changed(**values: Callable[[Any], Any]) -> Callable[[list[Event], int], list[Event]]:
    """A mutation of one event's fields."""

    def change(events: list[Event], at: int) -> list[Event]:
        new = {name: value(getattr(events[at], name)) for name, value in values.items()}
        return [*events[:at], structs.replace(events[at], **new), *events[at + 1 :]]

    return change


def _leaves(part: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    members = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else None
    if members is None or not part:
        yield way
        return
    for name, member in members:
        yield from _leaves(member, (*way, name))


def _with(part: Any, way: tuple[Any, ...], value: Any) -> Any:
    if not way:
        return value
    copy = part.copy()
    copy[way[0]] = _with(part[way[0]], way[1:], value)
    return copy


def change_part(events: list[Event], at: int, number: int) -> list[Event]:
    """Another value somewhere in an event's part; where it has none, one that is new."""
    part = events[at].part
    ways = list(_leaves(part))
    way = ways[number % len(ways)]
    value = _at(part, way)
    new = value + 1 if isinstance(value, int | float) else f"{value}-" if isinstance(value, str) else {"new": 1}
    return [*events[:at], structs.replace(events[at], part=_with(part, way, new)), *events[at + 1 :]]


def _at(part: Any, way: tuple[Any, ...]) -> Any:
    return _at(part[way[0]], way[1:]) if way else part


_MUTATIONS: dict[str, Callable[[list[Event], int], list[Event]]] = {
    "drop": drop,
    "duplicate": duplicate,
    "swap": swap,
    "path": changed(path=lambda path: path[:-1] + ("x" if path[-1] != "x" else "y")),
    "uid": changed(uid=lambda uid: f"{uid}-"),
    "kind": changed(kind=lambda kind: "Job" if kind != "Job" else "Edge"),
    "op": changed(op=lambda op: "deleted" if op != "deleted" else "deletionRequested"),
}


def outcome(events: Sequence[Event]) -> tuple[Any, ...] | None:
    """What a log comes to, without positions and times; None where it does not fold."""
    state = State()
    try:
        for event in events:
            fold(MODEL, state, event)
    except Exception:  # noqa: BLE001 - whatever goes wrong, it is no log of this model
        return None
    entries = {key: entry for key, entry in state.entries.items() if key[0] in state.totals}
    nodes = {path: structs.replace(node, version=0, created_version=0) for path, node in state.nodes.items()}
    return nodes, state.pools, entries, state.totals


@settings(max_examples=400, deadline=None)
@given(moves=moves, mutation=st.sampled_from([*_MUTATIONS, *["part"] * 3]), number=st.integers(0, 10_000))
def test_a_mutated_log_is_found_out_or_comes_to_the_same(moves: list[Move], mutation: str, number: int) -> None:
    history = written(moves)
    events = history.events()
    at = number % len(events)
    mutate = _MUTATIONS.get(mutation)
    mutated = renumbered(mutate(events, at) if mutate is not None else change_part(events, at, number // 7))
    if not judged(mutated, history.store.state):
        assert outcome(mutated) == outcome(renumbered(events))


@settings(max_examples=100, deadline=None)
@given(moves=moves, number=st.integers(0, 10_000))
def test_positions_times_and_ids_are_judged_too(moves: list[Move], number: int) -> None:
    history = written(moves)
    events = history.events()
    at = 1 + number % (len(events) - 1)
    for mutated in (
        drop(events, at - 1),
        changed(position=lambda position: position + 1)(events, at),
        changed(id=lambda _: events[0].id)(events, at),
        changed(at=lambda time: time - timedelta(days=1))(events, at),
    ):
        assert judged(mutated, history.store.state)


_TAMPERED: dict[str, Callable[[State], object]] = {
    "node": lambda state: state.nodes.popitem(),
    "spec": lambda state: _replace(state.nodes, f"{JOBS}/x", spec={}),
    "version": lambda state: _replace(state.nodes, f"{JOBS}/x", version=1),
    "generation": lambda state: _replace(state.nodes, f"{JOBS}/x", generation=9),
    "links": lambda state: _replace(state.nodes, _some(state, "Attempt"), links={}),
    "another node": lambda state: state.nodes.update({"/config/job-groups/none": state.nodes["/config"]}),
    "pool": lambda state: _replace(state.pools, _first(state.pools), capacity={"cpu": 1}),
    "used": lambda state: _replace(state.pools, _first(state.pools), used={}),
    "no pool": lambda state: state.pools.popitem(),
    "another pool": lambda state: state.pools.update({"/none": Pool({"cpu": 1}, {})}),
    "epoch": lambda state: _replace(state.entries, _first(state.entries), epoch=7),
    "failures": lambda state: _replace(state.entries, _first(state.entries), failures=7),
    "holder": lambda state: _replace(state.entries, _first(state.entries), holder="/none"),
    "entry": lambda state: state.entries.popitem(),
    "totals": lambda state: _replace(state.totals, ALL, progress=-1),
    "no totals": lambda state: state.totals.pop(ALL),
    "totals of nobody": lambda state: state.totals.update({"ghost": Totals({"placed": 1})}),
}


def _replace(table: dict[Any, Any], key: Any, **values: Any) -> None:
    table[key] = structs.replace(table[key], **values)


def _first(table: dict[Any, Any]) -> Any:
    return min(table)


def _some(state: State, kind: str) -> str:
    return min(path for path, node in state.nodes.items() if node.kind == kind)


@pytest.mark.parametrize("tampered", _TAMPERED)
def test_a_state_that_is_not_the_logs_is_found_out(tampered: str) -> None:
    history = written([("place", 0), ("place", 0), ("place", 1), ("run", 0), ("fail", 1)])
    state = history.store.state
    assert not judged(history.events(), state)
    _TAMPERED[tampered](state)
    assert judged(history.events(), state)


def _mistaken(rule: str, **parts: Any) -> type[Kind]:
    """An attempt of which a part of one rule is another one."""
    return type("Attempt", (Attempt,), {rule: replace(getattr(Attempt, rule), **parts)})


def _settle(**parts: Any) -> type[Kind]:
    return _mistaken("settle", **parts)


def _begin(entry: Entry | None, claim: Claim, path: str, spec: Document) -> Entry | str:
    """Epochs are not looked at."""
    if entry is None:
        return RULES.begin(entry, claim, path, spec)
    return RULES.begin(entry, structs.replace(claim, epoch=entry.epoch + 1), path, spec)


def _begin_again(entry: Entry | None, claim: Claim, path: str, spec: Document) -> Entry | str:
    """What runs is not waited for."""
    waiting = structs.replace(entry, phase=RETRY) if entry is not None and entry.phase == RUNNING else entry
    return RULES.begin(waiting, claim, path, spec)


def _advance_without_failures(entry: Entry, spec: Document, status: Document) -> Entry:
    after = RULES.advance(entry, spec, status)
    return structs.replace(after, failures=0, phase=RETRY if after.phase == FAILED else after.phase)


RULES = Attempt.settle
MISTAKES: dict[str, type[Kind]] = {
    "a reservation ends when its attempt starts": _mistaken("reserve", held=lambda status: not status.get("phase")),
    "a reservation never ends": _mistaken("reserve", held=lambda status: True),
    "a pool is another edge's": _mistaken("reserve", pool=lambda path: inventory_path("s", "a")),
    "an epoch may be left out": _settle(begin=_begin),
    "a chunk is placed again while it runs": _settle(begin=_begin_again),
    "failures are not counted": _settle(advance=_advance_without_failures),
    "an older epoch's end counts": _settle(verdict=lambda entry, claim, spec, status: {"settlement": "counted"}),
    "the first result of an older epoch does not count": _settle(adopt=lambda *_, **__: None),
    "a success is adopted that is not there": _settle(object=lambda *_: None),
    "what has ended may start": _mistaken(
        "phases", allowed={**Attempt.phases.allowed, **{ended: frozenset({RUNNING}) for ended in ENDED}}
    ),
    "a phase is left out of the table": _mistaken("phases", allowed={PENDING: ENDED | {RUNNING}}),
    "a job has no finalizer": type("Job", (Job,), {"finalizers": ()}),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_rule_is_found_out(mistake: str) -> None:
    kinds = {**MODEL.kinds, MISTAKES[mistake].__name__: MISTAKES[mistake]}
    chance = random.Random(1)
    for _ in range(40):
        history = History(memory_store(Model(kinds.values(), MODEL.seeds, MODEL.judge)))
        history.begin()
        history.take([(chance.choice(MOVES), chance.randrange(1_000)) for _ in range(60)])
        if judged(history.events(), history.store.state):
            return
    raise AssertionError("nothing was found")
