"""What is seen at the database's door: who is given which lease, who writes what it knows to be useless, what goes too early,
and who is given up too early."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from datamodel.command import Outcome, Unit
from datamodel.event import Event
from datamodel.model import Model
from datamodel.node import Node
from datamodel.scheduling.attempts import ENDED
from datamodel.scheduling.edges import DISCONNECTED, GONE, LOST, desired_path, inventory_path, place_of
from datamodel.scheduling.jobs import FAILED
from datamodel.scheduling.service import config_path
from datamodel.state import State

IN_FLIGHT_S = 60.0
"""For so long after a change, a program may still write what it concluded before: its request was under way, and late, or it
was paused with it."""

PLACING_S = 40.0
"""For so long after an edge was cordoned, what was decided before may still be placed there: by then a replica that was paused
with its decision has lost its lease, and a late request is over."""


class Witness:
    """Complains, by a sentence to `complain`, of what the log cannot tell. `patience_s` says after which silence an edge may be
    judged to be in which phase."""

    def __init__(self, model: Model, complain: Callable[[str], None], patience_s: Mapping[str, float]) -> None:
        self._model, self._complain, self._patience_s = model, complain, patience_s
        self._holders: dict[tuple[str, int], str] = {}
        self._given: dict[tuple[str, int], tuple[str, float]] = {}
        self._back_s: dict[str, float] = {}
        self._restored_s = -IN_FLIGHT_S
        self._cordoned_s: dict[str, float] = {}

    def leased(self, tokens: Mapping[str, int], holder: str, now_s: float) -> None:
        """Each acquisition has a token of its own, so no two holders ever have the same."""
        for name, token in tokens.items():
            self.holds(name, token, holder)
            if self._given.get((name, token), ("", 0.0))[0] != holder:
                self._given[name, token] = holder, now_s

    def holds(self, name: str, token: int, holder: str) -> None:
        """The same, of a lease that is held."""
        if self._holders.setdefault((name, token), holder) != holder:
            self._complain(f"the lease {name} was given to two holders with the token {token}")

    def asked(self, units: Sequence[Unit], state: State, now_s: float) -> None:
        """Nobody writes the status of what it knows to have ended, but for whom it told of that: who names the version that
        is there has read it. And nobody calls an edge silent for longer than it has been asked to listen."""
        for unit in units:
            for command in unit.commands:
                node = state.nodes.get(command.path)
                is_edge = node is not None and node.kind == "Edge"
                if node is not None and is_edge and command.op == "patchStatus" and not _is_said(node, state):
                    self._judged(unit, node, command.body.get("phase", ""), now_s)
                if command.op != "patchStatus" or node is None or node.version != command.expected_version:
                    continue
                if self._has_ended(node) and command.body.keys() != {"callbacks"}:
                    self._complain(f"{unit.actor.name} writes the status of {node.path}, and knows that it has ended")

    def _has_ended(self, node: Node) -> bool:
        """A job that has failed has, until something else is asked of it."""
        phases = self._model.kinds[node.kind].phases
        if node.kind == "Job" and node.phase == FAILED:
            return node.generation == node.status.get("observedGeneration")
        return phases is not None and phases.is_terminal(node.phase or phases.initial)

    def answered(self, units: Sequence[Unit], outcomes: Sequence[Outcome]) -> None:
        """Nobody changes a spec to what it knows it to be."""
        for unit, outcome in zip(units, outcomes, strict=True):
            for command, verdict in zip(unit.commands, outcome, strict=False):
                knows = command.op == "patchSpec" and command.expected_version is not None
                if knows and verdict.outcome == "unchanged":
                    self._complain(f"{unit.actor.name} writes a spec of {command.path} that is there already")

    def appended(self, event: Event, state: State, now_s: float) -> None:
        """A job stays until nothing of it runs where that can be stopped, and nothing new comes to an edge that is not to be
        used."""
        if event.kind == "DesiredEdge" and event.op != "deleted":
            self._cordoned(state.nodes[event.path], now_s)
        if event.kind == "Attempt" and event.op == "created" and event.actor == "placement":
            cordoned_s = now_s - max(
                self._cordoned_s.get(desired_path(*place_of(event.path)), math.inf), self._restored_s
            )
            if cordoned_s > PLACING_S:
                self._complain(f"{event.path} is placed where nothing was to be for {cordoned_s:.0f} s")
        if event.kind == "Edge" and event.op == "statusChanged" and event.part["status"].get("phase") != LOST:
            self._back_s[event.path] = now_s
        if event.kind == "Job" and event.op == "deleted" and now_s - self._restored_s > IN_FLIGHT_S:
            for attempt in self._reachable(event.uid, state, now_s):
                self._complain(f"{event.path} is gone, and {attempt.path} is {attempt.phase or 'new'}")

    def _cordoned(self, edge: Node, now_s: float) -> None:
        if edge.spec["cordoned"]:
            self._cordoned_s.setdefault(edge.path, now_s)
        else:
            self._cordoned_s.pop(edge.path, None)

    def restored(self, now_s: float) -> None:
        """The database was put back: leases are given again as they were given once."""
        self._holders.clear()
        self._cordoned_s.clear()
        self._restored_s = now_s

    def _judged(self, unit: Unit, edge: Node, phase: str, now_s: float) -> None:
        """A judge that knows nothing yet hears for the whole time first. Once a database was put back, the same token may have
        been given to it twice, and to others."""
        given = self._given.get((unit.fence.lease, unit.fence.token)) if unit.fence is not None else None
        if given is None or phase == edge.phase or now_s - self._restored_s < IN_FLIGHT_S:
            return
        if edge.phase == GONE or (phase == GONE and edge.phase in (DISCONNECTED, LOST)):
            return  # that it is not heard from was judged before; this is of what operators ask of it
        if now_s - given[1] < self._patience_s.get(phase, 0.0):
            self._complain(f"{edge.path} is {phase} to who has listened for {now_s - given[1]:.1f} s")

    def _reachable(self, job: str, state: State, now_s: float) -> Iterator[Node]:
        """What may still run of a job, on edges that are there and have been for a while."""
        for node in state.nodes.values():
            if node.kind == "Attempt" and job in node.links.get("job", ()) and node.phase not in ENDED:
                path = inventory_path(*place_of(node.path))
                edge = state.nodes.get(path)
                back = now_s - self._back_s.get(path, -IN_FLIGHT_S) < IN_FLIGHT_S
                if edge is not None and edge.phase != LOST and not back:
                    yield node


def _is_said(edge: Node, state: State) -> bool:
    """Whether an operator has said that an edge is lost: whoever judges it goes by that."""
    config = state.nodes.get(config_path(*place_of(edge.path)))
    return config is not None and "word" in config.spec
