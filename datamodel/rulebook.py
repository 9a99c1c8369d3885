"""The rule book: the one place that decides what may happen to the graph.

`admit` is pure. It takes the present rows that the units name, and returns a verdict for every command and the events
that follow; the same code stands in front of the fake and of Postgres.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from datamodel.admission import Admission, Guards, Replay
from datamodel.authority import authorize
from datamodel.command import Command, Outcome, Unit, Verdict
from datamodel.errors import Aborted, Conflict, Fenced, Invalid, NotFound, TendrilError
from datamodel.event import Event, Op
from datamodel.kinds import Document, Kind, Phases
from datamodel.ledger import Totals
from datamodel.links import Links
from datamodel.merge import merged
from datamodel.model import Model
from datamodel.node import Node
from datamodel.ownership import check_owners
from datamodel.parts import check_status, normal_spec
from datamodel.pool import Pool
from datamodel.removal import Removal, released, removal
from datamodel.revision import revised_labels, revised_spec
from datamodel.state import State, fold
from datamodel.targets import first_links, revised_links


def admit(
    model: Model,
    present: State,
    guards: Guards,
    units: Sequence[Unit],
    position: int,
    now: datetime,
    ids: Iterator[str],
) -> Admission:
    """Decides units in order, each against what the ones before it left.

    `present` holds every row that the units name (see `datamodel.needs`) and is brought forward in place. `position` is the
    last one in the log, `now` is never before the last event's time, `ids` yields fresh uids and event ids. The units must
    have been prepared (see `datamodel.prepare`).
    """
    book = _Book(model, present, guards, position, now, ids)
    outcomes = [book.decide(unit) for unit in units]
    return Admission(outcomes, book.events, present.commit(), book.marks, book.keys)


class _Book:
    """The decisions of one call of `admit`."""

    def __init__(
        self, model: Model, state: State, guards: Guards, position: int, now: datetime, ids: Iterator[str]
    ) -> None:
        self.model, self.state, self.guards, self.now, self.ids = model, state, guards, now, ids
        self.base = position
        self.events: list[Event] = []
        self.marks: dict[str, int] = {}
        self.keys: dict[str, Replay] = {}
        self.uids = set(guards.uids)
        self.cause = self.correlation = ""

    def decide(self, unit: Unit) -> Outcome:
        try:
            replay = self.guard(unit)
        except TendrilError as error:
            return tuple(_refused(command.path, error) for command in unit.commands) or (_refused("", error),)
        if replay is not None:
            return replay
        checkpoint, recorded = self.state.checkpoint(), len(self.events)
        verdicts = [self.verdict(unit, command) for command in unit.commands]
        failed = next((verdict.error for verdict in verdicts if verdict.error is not None), None)
        if failed is not None and unit.atomic:
            self.undo(checkpoint, recorded)
            aborted = Aborted("another command of the same unit was refused")
            return tuple(
                v if v.error else _refused(c.path, aborted) for v, c in zip(verdicts, unit.commands, strict=True)
            )
        outcome = tuple(verdicts)
        if unit.dry_run:
            self.undo(checkpoint, recorded)
            return outcome
        if unit.advance is not None:
            self.marks[unit.advance.mark] = unit.advance.through
        if unit.key:
            self.keys[unit.key] = Replay(unit.digest, outcome)
        return outcome

    def guard(self, unit: Unit) -> Outcome | None:
        """The earlier outcome of a replayed unit; raises where a guard does not hold."""
        fence, advance = unit.fence, unit.advance
        if fence is not None and self.guards.leases.get(fence.lease) != fence.token:
            raise Fenced(f"the lease {fence.lease} is no longer held with token {fence.token}")
        if unit.key:
            known = self.keys.get(unit.key) or self.guards.keys.get(unit.key)
            if known is not None and known.digest != unit.digest:
                raise Invalid("this idempotency key was used for another request", field="Idempotency-Key")
            if known is not None:
                return tuple(
                    msgspec.structs.replace(v, outcome="unchanged", replayed=True, node=None, effects=())
                    for v in known.outcome
                )
        if advance is not None:
            through = self.marks.get(advance.mark, self.guards.marks.get(advance.mark, 0))
            if through != advance.after:
                raise Fenced(f"the mark {advance.mark} stands at {through}, not at {advance.after}")
        return None

    def verdict(self, unit: Unit, command: Command) -> Verdict:
        checkpoint, recorded = self.state.checkpoint(), len(self.events)
        self.cause, self.correlation = command.cause or unit.cause, command.correlation or unit.correlation
        try:
            kind, parent = self.model.locate(command.path)
            authorize(unit.actor, kind, command)
            before = self.state.nodes.get(command.path)
            if command.expected_version is not None:
                _check_version(before, command)
            self.carry_out(unit, command, kind, parent, before)
        except TendrilError as error:
            self.undo(checkpoint, recorded)
            return _refused(command.path, error)
        after = self.state.nodes.get(command.path)
        node = after if after is not None else before
        assert node is not None
        count = len(self.events) - recorded
        alone = count == 0 or (count == 1 and self.events[-1].path == command.path)
        effects = () if alone else _effects(self.events[recorded:], command.path)
        version = node.version if after is not None else self.base + len(self.events)
        outcome: Literal["changed", "unchanged"] = "changed" if count else "unchanged"
        return Verdict(outcome, command.path, node.uid, version, False, after, effects)

    def carry_out(self, unit: Unit, command: Command, kind: type[Kind], parent: str, before: Node | None) -> None:
        match command.op:
            case "create" if before is not None:
                raise Conflict(f"{command.path} already exists", field="/metadata/name")
            case "create" | "apply" if before is None:
                self.create(unit, command, kind, parent)
                return
        if before is None:
            raise NotFound(f"{command.path} does not exist")
        match command.op:
            case "apply":
                self.revise(unit, kind, before, command)
                self.relink(unit, kind, before, command)
            case "patchSpec" | "jsonPatch":
                self.revise(unit, kind, before, command)
            case "link" | "unlink":
                self.relink(unit, kind, before, command)
            case "patchStatus":
                self.report(unit, kind, before, merged(before.status, command.body))
            case "delete":
                self.delete(unit, before)
            case "finalize":
                self.finalize(unit, before, command.body.get("finalizer", ""))

    def create(self, unit: Unit, command: Command, kind: type[Kind], parent: str) -> None:
        if parent:
            above = self.state.nodes.get(parent)
            if above is None:
                raise NotFound(f"{parent}, the parent of {command.path}, does not exist", field="/metadata/parent")
            if above.deletion_requested_at is not None:
                raise Conflict(f"{parent}, the parent of {command.path}, is being deleted")
        spec = command.body if command.op == "create" else normal_spec(kind, command.body)
        part: Document = {"spec": spec}
        if command.labels:
            part["labels"] = command.labels
        links = first_links(self.state, kind, command.links) if kind.links else {}
        if links:
            part["links"] = links
        if kind.finalizers:
            part["finalizers"] = list(kind.finalizers)
        if kind.reserve is not None:
            pool = kind.reserve.pool(command.path)
            lacking = self.state.pools.get(pool, Pool()).lacking(kind.reserve.amounts(spec))
            if lacking is not None:
                raise Conflict(f"{pool} has too little {lacking} left", field=f"/spec/requests/{lacking}")
        if kind.settle is not None:
            self.check_claim(kind, command.path, spec, links)
        self.record(unit, "created", command.path, self.uid(command), kind.__name__, part)

    def uid(self, command: Command) -> str:
        uid = command.uid or next(self.ids)
        if uid in self.uids:
            raise Conflict(f"the uid {uid} is taken", field="/metadata/uid")
        if command.uid:
            self.uids.add(uid)
        return uid

    def check_claim(self, kind: type[Kind], path: str, spec: Document, links: Links) -> None:
        assert kind.settle is not None
        claim = kind.settle.claim(path)
        if claim is None:
            raise Invalid(f"the name of {path} claims no ledger entry", field="/metadata/name")
        if links.get(kind.settle.owner) != (claim.owner,):
            raise Conflict(f"{path}: its link does not lead to {claim.owner}", field=f"/links/{kind.settle.owner}")
        entry = self.state.entries.get((claim.owner, claim.index))
        if entry is None and claim.index != (pieces := self.state.totals.get(claim.owner, Totals()).entries):
            raise Conflict(f"{path}: pieces are begun in order, and the next one is {pieces}")
        begun = kind.settle.begin(entry, claim, path, spec)
        if isinstance(begun, str):
            raise Conflict(f"{path}: {begun}")

    def check_settlement(self, kind: type[Kind], before: Node, spec: Document) -> None:
        claim = kind.settle.claim(before.path) if kind.settle is not None else None
        if kind.settle is None or claim is None:
            return
        owned = claim.owner in self.state.totals
        entry = self.state.entries.get((claim.owner, claim.index)) if owned else None
        reason = kind.settle.object(entry, claim, before.spec, spec, before.status)
        if reason is not None:
            raise Conflict(f"{before.path}: {reason}")

    def relink(self, unit: Unit, kind: type[Kind], before: Node, command: Command) -> None:
        links = revised_links(self.state, kind, before, command)
        if links != before.links:
            self.record(unit, "linksChanged", before.path, before.uid, before.kind, {"links": links})

    def revise(self, unit: Unit, kind: type[Kind], before: Node, command: Command) -> None:
        labels = revised_labels(before, command, unit.actor.name)
        spec = revised_spec(kind, before, command, unit.actor.name)
        if labels != before.labels:
            self.record(unit, "labelsChanged", before.path, before.uid, before.kind, {"labels": labels})
        if spec != before.spec:
            self.check_settlement(kind, before, spec)
            self.record(unit, "specChanged", before.path, before.uid, before.kind, {"spec": spec})
        check_owners(self.state.nodes[before.path].owners)

    def report(self, unit: Unit, kind: type[Kind], before: Node, status: Document) -> None:
        if status == before.status:
            return
        check_status(kind, status)
        for name in kind.once:
            if name in before.status and status.get(name) != before.status[name]:
                raise Conflict(f"{before.path} has its {name} for good", field=f"/status/{name}")
        if kind.phases is not None:
            now, then = before.phase or kind.phases.initial, status.get("phase", kind.phases.initial)
            if kind.phases.is_terminal(now) and not _is_afterwards(kind.phases, before.status, status):
                raise Conflict(f"{before.path} has ended as {now}", field="/status/phase")
            if not kind.phases.permits(now, then):
                raise Conflict(f"{before.path} cannot go from {now} to {then}", field="/status/phase")
        if kind.settle is not None:
            claim = kind.settle.claim(before.path)
            if claim is not None:
                owned = claim.owner in self.state.totals
                entry = self.state.entries.get((claim.owner, claim.index)) if owned else None
                status = {**status, **kind.settle.verdict(entry, claim, before.spec, status)}
        self.record(unit, "statusChanged", before.path, before.uid, before.kind, {"status": status})

    def delete(self, unit: Unit, before: Node) -> None:
        plan = removal(self.model, self.state, before)
        for node in plan.doomed:
            if node.path in self.guards.large:
                raise Conflict(f"too much goes with {node.path}: delete some of it first")
            self.check_settled(node)
        self.remove(unit, plan)

    def check_settled(self, node: Node) -> None:
        kind = self.model.kinds[node.kind]
        if kind.reserve is not None and kind.reserve.held(node.status):
            raise Conflict(f"{node.path} is not settled: it may still hold what it reserved")
        if kind.offer is not None and self.state.pools.get(node.path, Pool()).used:
            raise Conflict(f"{node.path} is not settled: others hold reservations of it")

    def finalize(self, unit: Unit, before: Node, finalizer: str) -> None:
        if finalizer in before.finalizers:
            left = [name for name in before.finalizers if name != finalizer]
            self.record(unit, "finalized", before.path, before.uid, before.kind, {"finalizers": left})
        self.remove(unit, released(self.model, self.state, self.state.nodes[before.path]))

    def remove(self, unit: Unit, plan: Removal) -> None:
        for node, links in plan.unlinked:
            self.record(unit, "linksChanged", node.path, node.uid, node.kind, {"links": links})
        for node in plan.doomed:
            if node.path not in plan.held:
                self.record(unit, "deleted", node.path, node.uid, node.kind, {})
            elif node.deletion_requested_at is None:
                self.record(unit, "deletionRequested", node.path, node.uid, node.kind, {})

    def record(self, unit: Unit, op: Op, path: str, uid: str, kind: str, part: Document) -> None:
        correlation = self.correlation
        if not correlation and (node := self.state.nodes.get(path)) is not None:
            correlation = node.correlation
        version = self.model.kinds[kind].version
        told = unit.actor.name, self.cause, correlation, version
        event = Event(self.base + len(self.events) + 1, next(self.ids), self.now, op, path, uid, kind, part, *told)
        fold(self.model, self.state, event)
        self.events.append(event)

    def undo(self, checkpoint: int, recorded: int) -> None:
        self.state.rollback(checkpoint)
        self.uids.difference_update(event.uid for event in self.events[recorded:] if event.op == "created")
        del self.events[recorded:]


def _check_version(before: Node | None, command: Command) -> None:
    version = before.version if before is not None else 0
    if version != command.expected_version:
        raise Conflict(
            f"{command.path} is at version {version}, not {command.expected_version}", field="/metadata/version"
        )


def _effects(events: Sequence[Event], path: str) -> tuple[tuple[Op, str], ...]:
    return tuple((event.op, event.path) for event in events if event.path != path)


def _refused(path: str, error: TendrilError) -> Verdict:
    return Verdict("refused", path, error=error)


def _is_afterwards(phases: Phases, before: Document, after: Document) -> bool:
    """Whether a status differs only in what may change after the end."""
    return all(before.get(name) == after.get(name) for name in (before.keys() | after.keys()) - phases.afterwards)
