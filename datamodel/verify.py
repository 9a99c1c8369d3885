"""Verification: the log is whole, and the projection with its counters and ledgers is the fold of the base and it."""

from collections.abc import AsyncIterator, Hashable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
from msgspec import structs

from datamodel.audit import Audit
from datamodel.event import Event
from datamodel.invariants import violations
from datamodel.model import Model
from datamodel.node import Node
from datamodel.ports import Head, Snapshot, Snapshots
from datamodel.rows import Rows, facet_rows
from datamodel.state import State, fold

DIFFERENCES_LIMIT = 100
_SHOWN_CHARACTERS = 120

_Key = TypeVar("_Key", bound=Hashable)
_Row = TypeVar("_Row")


@dataclass(slots=True)
class Report:
    """What was found at a position. Of very many differences only the first are kept; `found` counts all."""

    head: Head
    nodes: int = 0
    differences: list[str] = field(default_factory=list)
    found: int = 0

    @property
    def clean(self) -> bool:
        return not self.found

    def add(self, difference: str) -> None:
        self.found += 1
        if len(self.differences) < DIFFERENCES_LIMIT:
            self.differences.append(difference)

    def __str__(self) -> str:
        seen = f"position {self.head.position}, {self.nodes} nodes"
        if self.clean:
            return f"{seen}: the projection is the fold of the log"
        lines = [f"{seen}: {self.found} differences", *(f"  {difference}" for difference in self.differences)]
        if self.found > len(self.differences):
            lines.append(f"  … and {self.found - len(self.differences)} more")
        return "\n".join(lines)


async def verify(store: Snapshots, audit: Audit | None = None) -> Report:
    """Compares everything at one position, while the store moves on. It folds the log into memory, onto the base where what was
    before is not kept any more. An `audit` that has taken nothing yet takes both too, and its books are compared as well."""
    async with store.snapshot() as snapshot:
        report = Report(snapshot.head)
        state = await _folded(store.model, snapshot, audit, report)
        report.nodes = len(state.nodes)
        for violation in violations(store.model, state):
            report.add(violation)
        for difference in audit.compare(Rows.of(store.model, state)) if audit is not None else ():
            report.add(f"the fold is not what the audit has: {difference}")
        await _compare_tables(store.model, snapshot, state, report)
    return report


async def _folded(model: Model, snapshot: Snapshot, audit: Audit | None, report: Report) -> State:
    state = State()
    async for base in snapshot.base():
        state.learn(base)
    last = snapshot.oldest
    if audit is not None and last.position:
        audit.begin(last, state)
    async for event in snapshot.events(after=last.position):
        if event.position != last.position + 1:
            report.add(f"event {event.position}: follows {last.position}")
        if last.position and event.at < last.at:
            report.add(f"event {event.position}: is older than the one before it")
        last = Head(position=event.position, at=event.at)
        _fold(model, state, event, report)
        for violation in audit.step(event) if audit is not None else ():
            report.add(violation)
    if last != report.head:
        report.add(f"head: stands at {report.head}, the log ends at {last}")
    return state


def _fold(model: Model, state: State, event: Event, report: Report) -> None:
    try:
        fold(model, state, event)
    except Exception as error:  # noqa: BLE001 - a log that cannot be folded is a finding, and the rest is still of interest
        state.rollback(0)
        report.add(f"event {event.position}: {event.op} of {event.path} does not fold: {error!r}")
    state.commit()


async def _compare_tables(model: Model, snapshot: Snapshot, state: State, report: Report) -> None:
    nodes = state.nodes
    links = {(path, name): targets for path, node in nodes.items() for name, targets in node.links.items()}
    entries = {key: entry for key, entry in state.entries.items() if key[0] in state.totals}
    left_by_the_gone = {*state.entries}.difference(entries)
    forgotten = snapshot.oldest.position > 0  # who owned what at the base, and went before it
    stored = ((path, _fact(node)) async for path, node in snapshot.nodes())
    await _compare("node", stored, {path: _fact(node) for path, node in nodes.items()}, report)
    await _compare("phase", snapshot.phases(), {path: node.phase for path, node in nodes.items()}, report)
    await _compare("link", snapshot.links(), links, report)
    await _compare("facet", snapshot.facets(), facet_rows(model, nodes.values()), report)
    await _compare("pool", snapshot.pools(), state.pools, report)
    await _compare("totals", snapshot.totals(), state.totals, report)
    living = (
        (key, entry)
        async for key, entry in snapshot.entries()
        if key not in left_by_the_gone and (not forgotten or key[0] in state.totals)
    )
    await _compare("entry", living, entries, report)


def _fact(node: Node) -> Node:
    """A node without how its row was written: a rebuild writes all of them as of the present versions."""
    return node if node.schema == 1 else structs.replace(node, schema=1)


async def _compare(
    table: str, stored: AsyncIterator[tuple[_Key, _Row]], folded: dict[_Key, _Row], report: Report
) -> None:
    missing = dict(folded)
    async for key, row in stored:
        if key not in missing:
            report.add(f"{table} {key}: is stored, and does not follow from the log")
        elif (expected := missing.pop(key)) != row:
            report.add(f"{table} {key}: {_difference(row, expected)}")
    for key in missing:
        report.add(f"{table} {key}: follows from the log, and is not stored")


def _difference(stored: object, folded: object) -> str:
    if not isinstance(stored, msgspec.Struct) or not isinstance(folded, msgspec.Struct):
        return f"{_shown(stored)} is stored, {_shown(folded)} follows from the log"
    pairs = {name: (getattr(stored, name), getattr(folded, name)) for name in stored.__struct_fields__}
    return ", ".join(f"{name}: {_difference(*pair)}" for name, pair in pairs.items() if pair[0] != pair[1])


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
