"""What jobs are told of why they wait, and attempts of why they were placed, seen in every event; and whether the past can be
told of attempts alone, when all is at rest."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from msgspec import structs

from datamodel.event import Event
from datamodel.ledger import Entry, Totals
from datamodel.node import Node
from datamodel.scheduling.attempts import COUNTED, VACANT
from datamodel.scheduling.edges import inventory_path, place_of
from datamodel.scheduling.jobs import FINISHED
from datamodel.scheduling.scheduler import BEST_FIT, FIRST_FIT, POWER_AWARE, SPREAD
from datamodel.scheduling.waiting import told_of
from datamodel.state import State
from gateway.queue import waiting_of
from gateway.seeing import entries_of, pool_of
from reconcilers.reasons import EVERY_S

POLICIES = {FIRST_FIT, BEST_FIT, SPREAD, POWER_AWARE}
_COUNTS = re.compile(r"of (\d+) edges, (.*)")


class Reasons:
    """Complains of a reason that is told too early, to a job that has ended, or with counts that do not add up; and of attempts
    that do not say why they are where they are."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        self._complain = complain
        self._made_s: dict[str, float] = {}
        self.told = 0
        """How many jobs were told why they wait."""

    def restored(self) -> None:
        """The database was put back."""
        self._made_s.clear()

    def appended(self, event: Event, now_s: float) -> None:
        if event.kind == "Attempt" and event.op == "created":
            self._decided(event.path, event.part["spec"].get("decision") or {}, event.actor)
        if event.kind != "Job":
            return
        if event.op == "created":
            self._made_s[event.uid] = now_s
        elif event.op == "statusChanged":
            self._told(event.path, event.uid, event.part["status"], now_s)

    def _decided(self, path: str, decision: dict[str, Any], actor: str) -> None:
        if actor != "placement":
            return  # somebody who tries what he must not
        if decision.get("policy") not in POLICIES or decision.get("edges", 0) < 1:
            self._complain(f"{path} does not say why it was placed: {decision}")

    def _told(self, path: str, uid: str, status: dict[str, Any], now_s: float) -> None:
        told = told_of(status.get("conditions", ()))
        if told is None:
            return
        if status.get("phase") in FINISHED:
            self._complain(f"{path} is {status['phase']}, and is told why it waits: {told}")
        made_s = self._made_s.pop(uid, None)
        if made_s is not None:
            self.told += 1
            if now_s - made_s < EVERY_S:
                self._complain(f"{path} is told why it waits after {now_s - made_s:.2f} s")
        counts = _COUNTS.search(told["message"])
        if counts is not None and int(counts[1]) != sum(
            map(int, re.findall(r"\b\d+(?= (?:is|are|has|have) )", counts[2]))
        ):
            self._complain(f"{path} is told counts that do not add up: {told['message']}")


def untold(state: State) -> Iterator[str]:
    """At rest, nobody who waits for no edge is told why he does; and what was reserved and counted is what can be told of the
    attempts that there are: so the past is told by those that there were."""
    attempts: dict[str, list[Node]] = {}
    held: dict[str, list[Node]] = {}
    entries: dict[str, list[Entry]] = {}
    for node in state.nodes.values():
        if node.kind == "Attempt":
            attempts.setdefault(node.links["job"][0], []).append(node)
            if node.phase not in VACANT:
                held.setdefault(inventory_path(*place_of(node.path)), []).append(node)
    for (owner, _), entry in sorted(state.entries.items()):
        if entry.phase not in COUNTED or entry.holder in state.nodes:  # else somebody has cleared its attempt away
            entries.setdefault(owner, []).append(structs.replace(entry, outputs=None))
    for path, node in state.nodes.items():
        if node.kind == "Edge" and pool_of(node, held.get(path, ())) != state.pools[path]:
            yield f"{path} has {state.pools[path]}, which its attempts do not make"
        if node.kind != "Job":
            continue
        told, totals = told_of(node.status.get("conditions", ())), state.totals.get(node.uid, Totals())
        if told is not None and not waiting_of(node, totals):
            yield f"{path} waits for no edge ({totals.phases}), and is told why it waits: {told}"
        if entries_of(attempts.get(node.uid, ())) != entries.get(node.uid, []):
            yield f"{path} has {entries.get(node.uid)}, which its attempts do not make"
