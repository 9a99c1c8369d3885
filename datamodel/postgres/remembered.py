"""What a process' writer remembers of the rows that it read and wrote: the next transaction reads only what is new to it.

What is remembered was so at `position`, under the log's lock. What others have written since is told by their events, so a
writer that has the lock again forgets those rows, and what is left is the present. What the process has read of them for others
is remembered again when it is asked for.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from datamodel.admission import Admission, Guards
from datamodel.command import Unit
from datamodel.ledger import ALL, Totals
from datamodel.model import Model
from datamodel.needs import Needs
from datamodel.node import Node
from datamodel.ports import Change
from datamodel.postgres.clock import Clock
from datamodel.postgres.recent import Recent
from datamodel.state import State, Touched

Key = TypeVar("Key")

LIMIT_ROWS = 50_000
LIMIT_BYTES = 32 * 1024 * 1024
"""As JSON; in memory it is a few times as much."""
LIMIT_CHANGES = 5_000
"""Events of others after which everything is read anew rather than sorted out."""


class Changed(msgspec.Struct, frozen=True, array_like=True):
    """What is told of an event of others: its node's path and uid, and whether the node went."""

    position: int
    event_id: str
    path: str
    uid: str
    went: bool


class Remembered:
    """Rows by table and key, and which keys are known at all: a known key without a row is a row that does not exist."""

    def __init__(self, model: Model, recent: Recent) -> None:
        """`recent` has what the process read last of the log."""
        self._model = model
        self._recent = recent
        self.era = 0
        """Grows whenever what is decided and not written is void."""
        self.clear()

    def clear(self) -> None:
        """Forgets everything, and with it what was decided and is not committed yet."""
        self.state = State()
        self.known = Needs()
        self._bytes = 0
        self.position = 0
        self.event = ""
        """The id of the event at `position`."""
        self.newest = 0
        self._certain, self._certain_event = 0, ""
        """The position through which it is committed, and its event."""
        self.clock: Clock | None = None
        self.era += 1
        self._unsure: list[Touched] = []
        self._forgotten: dict[str, int] = {}
        """By path, where others changed a node last that was forgotten then."""
        self._counted: set[str] = set()
        """Owners whose ledger others have written since; of those of forgotten nodes all."""

    def mistaken(self) -> None:
        """Others had written without its being known: what was decided and is not committed is taken back."""
        for touched in reversed(self._unsure):
            self.state.revert(touched)
            self._forget_new(touched)
        self._unsure = []
        self.position, self.event = self._certain, self._certain_event
        self.era += 1
        self.heard(self.position + 1)

    def displaced(self, changes: Sequence[Change], read: Sequence[Change], others: Sequence[Changed]) -> None:
        """The first that is not committed stands further on than it was decided for, as others had written before: `changes`
        are what it became, `others` what those did, and `read` as much of that, from its beginning, as the process has read.
        What was decided behind it is taken back."""
        first, *later = self._unsure
        for touched in reversed(later):
            self.state.revert(touched)
            self._forget_new(touched)
        self._unsure = [first]
        self.era += 1
        self._take_in(read)
        self.forget(others[len(read) :])
        for change in changes:
            if change.node is not None:
                self.state.nodes[change.path] = change.node
        if changes:
            self.position, self.event = changes[-1].position, changes[-1].event_id
        elif others:
            self.position, self.event = others[-1].position, others[-1].event_id
        else:
            self.position, self.event = self._certain, self._certain_event

    def _forget_new(self, touched: Touched) -> None:
        """That it did not exist was not known of all of it."""
        nodes = {path for path, before in touched.nodes.items() if before is None}
        entries = {key for key, before in touched.entries.items() if before is None}
        self.known.remove(Needs(nodes=nodes, entries=entries))

    def node(self, path: str) -> Node | None:
        """A node that is in the database for sure, and has not changed since as far as is known; None where it is not known."""
        if not self._is_certain or any(path in touched.nodes for touched in self._unsure):
            return None
        if path not in self.known.nodes:
            self._recall((path,))
        return self.state.nodes.get(path)

    def totals(self, owner: str) -> Totals | None:
        """Totals that are in the database for sure, and have not changed since as far as is known; None where they are not
        known."""
        if not self._is_certain or any(owner in touched.totals for touched in self._unsure):
            return None
        return self.state.totals.get(owner)

    @property
    def latest(self) -> bool:
        """Whether nobody else is known to have written since."""
        return 0 < self.newest <= self.position

    @property
    def expects(self) -> bool:
        """Whether something is decided and not committed."""
        return bool(self._unsure)

    @property
    def _is_certain(self) -> bool:
        """Whether nobody else is known to have written after what is committed here."""
        return 0 < self.newest <= self._certain

    def heard(self, position: int) -> None:
        """The log has reached a position, whoever wrote there."""
        self.newest = max(self.newest, position)

    def suffices(self, wanted: Needs, units: Sequence[Unit]) -> bool:
        """Whether units can be decided by what is remembered alone: what others may have changed of it, and their guards, can
        be judged by the database at the end."""
        marks = [unit.advance for unit in units if unit.advance is not None]
        return (
            self.position > 0
            and self.clock is not None
            and self.clock.trusted
            and not (wanted.removes or wanted.keys or wanted.uids)
            and not any(unit.dry_run for unit in units)  # no table's key judges what is not written
            and len(marks) == len(wanted.marks)
            and all(mark.after > 0 for mark in marks)  # else there is no row yet
            and len({unit.fence for unit in units if unit.fence is not None}) == len(wanted.leases)
            and not self._in_the_way(wanted)
        )

    def missing(self, wanted: Needs) -> Needs:
        """What of the wanted rows has to be read; guards are always read. An owner's entries are begun in order, so who knows
        how many there are knows of which pieces there is none."""
        self._make_room()
        self._recall(wanted.nodes - self.known.nodes)
        unknown = wanted.without(self.known)
        owners = {owner for owner, _ in unknown.entries} & self.known.owners
        begun = {owner: self.state.totals.get(owner, Totals()).entries for owner in owners}
        unknown.entries = {(owner, index) for owner, index in unknown.entries if index < begun.get(owner, math.inf)}
        return unknown

    def _make_room(self) -> None:
        """Forgets about half of the rows where there are too many: those that were remembered first, but for what the others
        stand below or reserve of. To forget all of them would make the next transactions read what they are about, one after
        the other."""
        state, known = self.state, self.known
        if known.rows <= LIMIT_ROWS and self._bytes <= LIMIT_BYTES:
            return
        nodes = _younger(state.nodes)
        nodes |= {self._model.locate(path)[1] for path in nodes}
        owners = {ALL} | {node.uid for path in nodes if (node := state.nodes.get(path)) is not None}
        pools = known.pools if len(known.pools) <= LIMIT_ROWS // 2 else _younger(state.pools)
        tables: tuple[tuple[dict[Any, Any], set[Any], set[Any]], ...] = (
            (state.nodes, known.nodes, nodes),
            (state.pools, known.pools, pools),
            (state.entries, known.entries, _younger(state.entries)),
            (state.totals, known.owners, owners),
        )
        for path in state.nodes:
            if path not in nodes:
                self._forgotten.pop(path, None)  # it may have been changed here since others did, or its ledger
        for table, keys, kept in tables:
            keys.intersection_update(kept)
            for key in [key for key in table if key not in kept]:
                del table[key]
        self._bytes //= 2

    def _in_the_way(self, wanted: Needs) -> bool:
        """Whether a row must be read first. That a new node is none that exists is judged by its table's key in the end."""
        missing = self.missing(wanted)
        missing.nodes -= wanted.created
        return missing.rows > 0

    def forget(self, changed: Iterable[Changed]) -> None:
        """Forgets the rows that these changes may have touched."""
        gone = Needs()
        if len(self._forgotten) + len(self._counted) > LIMIT_ROWS:
            self._forgotten, self._counted = {}, set()
        for change in changed:
            kind, _ = self._model.locate(change.path)
            gone.nodes.add(change.path)
            gone.add_derived(kind, change.path)
            if change.went:
                gone.owners |= {change.uid, ALL}
            self._forgotten[change.path] = change.position
        self._counted |= gone.owners
        self.known.remove(gone)
        self.state.forget(gone.nodes, gone.pools, gone.entries, gone.owners)

    def learn(self, read: Needs, rows: State, size_bytes: int) -> None:
        """Adds rows that were read just now: those that exist of `read`."""
        self._bytes += size_bytes
        self.known.add(read)
        self.state.learn(rows)

    def follow(self, changes: Sequence[Change]) -> None:
        """Takes in what others wrote right after `position`: their nodes as they left them, and that a new one has no ledger
        yet. A node that changed again since is told by a later change."""
        self._take_in(changes)
        if changes:
            self.position, self.event = changes[-1].position, changes[-1].event_id
        self._certain, self._certain_event = self.position, self.event

    def _take_in(self, changes: Sequence[Change]) -> None:
        for change in changes:
            node = change.node
            self.forget([Changed(change.position, change.event_id, change.path, change.uid, node is None)])
            self.known.nodes.add(change.path)
            if node is not None:
                self._know(node, change.size_bytes)
                if node.version == node.created_version:
                    self.known.owners.add(change.uid)

    def outrun(self, changed: Sequence[Changed], newest: int) -> None:
        """Forgets what others wrote right after `position`, or everything where not all of that is told. `newest` is what had
        been heard of before it was read: a word of more than there is was wrong."""
        if changed and changed[0].position != self.position + 1:
            self.clear()
            return
        self.forget(changed)
        if changed:
            self.position, self.event = changed[-1].position, changed[-1].event_id
        elif self.newest == newest:
            self.newest = self.position
        self._certain, self._certain_event = self.position, self.event

    def _recall(self, paths: Iterable[str]) -> None:
        """Remembers nodes again that were forgotten, where the process has read them as whoever wrote them last left them; and
        that a new one has no ledger yet."""
        for path in paths:
            version = self._forgotten.get(path, 0)
            change = self._recent.at(version) if version else None
            node = change.node if change is not None else None
            if change is not None and node is not None and (node.path, node.version) == (path, version):
                self.known.nodes.add(path)
                self._know(node, change.size_bytes)
                if version == node.created_version and node.uid not in self._counted:
                    self.known.owners.add(node.uid)

    def _know(self, node: Node, size_bytes: int) -> None:
        self.state.nodes[node.path] = node
        self._bytes += size_bytes

    def admitted(self, admission: Admission, after: int, size_bytes: int) -> None:
        """Takes what was decided at the position `after` by what is remembered for the present; it is about to be written, and
        takes so much as JSON."""
        self._bytes += size_bytes
        touched = admission.touched
        self.known.add(Needs({*touched.nodes}, {*touched.pools}, {*touched.entries}, {*touched.totals}))
        self.position = after + len(admission.events)
        if admission.events:
            self.event = admission.events[-1].id
        self._unsure.append(touched)

    def committed(self, admission: Admission) -> None:
        """What was admitted is in the database."""
        self._unsure = [touched for touched in self._unsure if touched is not admission.touched]
        if not self._unsure:
            self._certain, self._certain_event = self.position, self.event
        elif admission.events:
            self._certain, self._certain_event = admission.events[-1].position, admission.events[-1].id
        if admission.events:
            self.heard(admission.events[-1].position)


def _younger(table: dict[Key, Any]) -> set[Key]:
    """The half of the keys that came last."""
    return {*itertools.islice(table, len(table) // 2, None)}


def claimed_guards(units: Sequence[Unit]) -> Guards:
    """The guards of units as these say that they are."""
    return Guards(
        leases={unit.fence.lease: unit.fence.token for unit in units if unit.fence is not None},
        marks={unit.advance.mark: unit.advance.after for unit in units if unit.advance is not None},
    )
