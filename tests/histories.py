"""Histories for audits: random moves, each turned into a command that fits what is there, on a store in memory.

They are heavy in attempts: chunks are placed on small edges, reported, given up, retried, deleted with their jobs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from datamodel.command import Actor, Command
from datamodel.event import Event
from datamodel.memory import MemoryStore
from datamodel.node import Node
from datamodel.scheduling.attempts import ENDED, RETRY, claim_of
from datamodel.scheduling.edges import desired_path, inventory_path
from datamodel.scheduling.jobs import FAILED, PENDING, RUNNING, SUCCEEDED
from datamodel.seeds import seed
from tests.graph import EDGE, SYSTEM, USER, attempt, edge_spec, job, memory_store, send
from tests.unit.test_properties import result

CHUNKS = 3
EDGES = "ab"

STRICT = {
    "exitCodes": [
        {"codes": [2], "action": "retry"},
        {"codes": [5], "ranges": [{"first": 1, "last": 3}], "action": "fail"},
        {"codes": [6, 3], "action": "ignore"},
    ]
}
"""A policy by which some exit codes of the eight that histories have are the end of a chunk."""
REASONS = ("NonZeroExit", "NonZeroExit", "OOMKilled")

REASONS_TO_LEAVE = ("EdgeLost", "EdgeCutOff", "LeaseOver")

Move = tuple[str, int]
"""What to do, and a number that chooses to whom."""

_WEIGHTS = {
    "place": 8,
    "retry": 5,
    "run": 5,
    "succeed": 3,
    "fail": 4,
    "interrupt": 2,
    "stopped": 2,
    "abandon": 4,
    "lose": 3,
    "adopt": 3,
    "off": 2,
    "stop": 1,
    "resume": 1,
    "remove": 3,
    "job": 2,
    "delete job": 1,
    "end job": 1,
    "drop edge": 1,
    "reset": 1,
    "repeat": 1,
    "progress": 1,
    "relabel": 1,
    "resize": 2,
    "group": 1,
    "ungroup": 1,
}
MOVES = [move for move, weight in _WEIGHTS.items() for _ in range(weight)]
moves = st.lists(st.tuples(st.sampled_from(MOVES), st.integers(0, 1_000)), min_size=10, max_size=60)


def leases(number: int) -> dict[str, Any]:
    """What some attempts have of the policy of their job."""
    return {"leaseS": 30.0} if number % 3 == 0 else {}


@dataclass
class History:
    """A store with a site of two small edges, and what is done to it. `grown` is called after every move."""

    store: MemoryStore = field(default_factory=memory_store)
    grown: Callable[[], None] = lambda: None

    def begin(self) -> None:
        result(seed(self.store))
        sites = [Command("create", f"/{plane}/sites/s") for plane in ("inventory", "desired-config")]
        self.send(SYSTEM, *sites, *(Command("create", desired_path("s", edge)) for edge in EDGES))
        self.send(EDGE, *(Command("create", inventory_path("s", edge), edge_spec(cpu=0.75)) for edge in EDGES))
        self.send(USER, job("x", chunks=CHUNKS, retries=1), job("y", chunks=CHUNKS, retries=2, retryPolicy=STRICT))

    def take(self, moves: Sequence[Move]) -> None:
        for name, number in moves:
            self.move(name, number)
            self.grown()

    def move(self, name: str, number: int) -> None:
        jobs, attempts = self.of_kind("Job"), self.of_kind("Attempt")
        running = [node for node in attempts if node.phase not in ENDED or number % 5 == 0]
        match name:
            case "place" if jobs:
                self.place(jobs[number % len(jobs)], EDGES[number % 2], number)
            case "retry" if jobs:
                self.retry(jobs[number % len(jobs)], EDGES[number % 2], number)
            case "run" | "succeed" | "fail" | "interrupt" | "stopped" if running:
                self.report(name, running[number % len(running)].path, number)
            case "abandon" | "stop" | "resume" if attempts:
                path = attempts[number % len(attempts)].path
                self.send(SYSTEM, Command("patchSpec", path, {"intent": "run" if name == "resume" else name}))
            case "lose" if running:
                body = {"intent": "abandon", "intentReason": REASONS_TO_LEAVE[number % 3]}
                self.send(SYSTEM, Command("patchSpec", running[number % len(running)].path, body))
            case "adopt" if attempts:
                kept = [node for node in attempts if node.status.get("settlement") == "superseded"]
                known = kept if kept and number % 4 else attempts
                self.send(USER, Command("patchSpec", known[number % len(known)].path, {"adopted": True}))
            case "off" if running:
                self.send(EDGE, Command("patchStatus", running[number % len(running)].path, {"phase": "abandoned"}))
            case "remove" if attempts:
                self.send(SYSTEM, Command("delete", attempts[number % len(attempts)].path))
            case "job":
                policy = {"retryPolicy": STRICT} if number % 4 else {}
                self.send(USER, job("xy"[number % 2], chunks=CHUNKS, retries=number % 3, **policy))
            case "delete job" | "end job" if jobs:
                path = jobs[number % len(jobs)].path
                self.send(USER, Command("delete", path))
                if name == "end job":
                    self.send(SYSTEM, Command("finalize", path, {"finalizer": "attempts"}))
            case "progress" if jobs:
                status = {"phase": RUNNING, "percentCompleted": float(number % 100)}
                self.send(SYSTEM, Command("patchStatus", jobs[number % len(jobs)].path, status))
            case "relabel" if jobs:
                path = jobs[number % len(jobs)].path
                self.send(USER, Command("patchSpec", path, {}, labels={"n": str(number % 3)}))
            case "drop edge":
                self.send(EDGE, Command("delete", inventory_path("s", EDGES[number % 2])))
            case "reset" | "repeat" if attempts:
                again = {"phase": PENDING} if name == "reset" else {}
                self.send(EDGE, Command("patchStatus", attempts[number % len(attempts)].path, again))
            case "resize":
                path = inventory_path("s", EDGES[number % 2])
                self.send(EDGE, Command("apply", path, edge_spec(cpu=(0.25, 0.5, 0.75, 1.0)[number % 4])))
            case "group" | "ungroup":
                path = f"/config/job-groups/g{number % 2}"
                self.send(USER, Command("apply" if name == "group" else "delete", path))

    def place(self, owner: Node, edge: str, number: int) -> None:
        """The next chunk; sometimes the one after it, which may not be."""
        index = sum(key[0] == owner.uid for key in self.store.state.entries) + (number % 5 == 4)
        if index < CHUNKS:
            self.send(SYSTEM, attempt(owner, index, edge=edge, **leases(number)))

    def retry(self, owner: Node, edge: str, number: int) -> None:
        """A chunk that waits for it, or else one that may not; sometimes in an epoch that is too high."""
        entries = self.store.state.entries
        waiting = [entry for key, entry in sorted(entries.items()) if key[0] == owner.uid and entry.phase == RETRY]
        known = waiting or [entry for key, entry in sorted(entries.items()) if key[0] == owner.uid]
        if known:
            entry = known[number % len(known)]
            self.send(
                SYSTEM, attempt(owner, entry.index, entry.epoch + (2 if number % 7 == 0 else 1), edge, **leases(number))
            )

    def report(self, name: str, path: str, number: int) -> None:
        phases = {"run": RUNNING, "succeed": SUCCEEDED, "fail": FAILED, "interrupt": "interrupted"}
        status = {"phase": phases.get(name, name), "percent": float(number % 100)}
        claim = claim_of(path)
        assert claim is not None
        outputs = {"outputs": {"n": claim.index + number % 2}} if name == "succeed" else {}
        how = {"exitCodes": [0, number % 8], "reason": REASONS[number // 8 % 3]} if name == "fail" else {}
        self.send(EDGE, Command("patchStatus", path, {**status, **outputs, **how}))

    def send(self, actor: Actor, *commands: Command) -> None:
        """What is refused is of no interest here."""
        result(send(self.store, *commands, actor=actor, atomic=False))

    def of_kind(self, kind: str) -> list[Node]:
        nodes = self.store.state.nodes
        return [nodes[path] for path in sorted(nodes) if nodes[path].kind == kind]

    def events(self, after: int = 0) -> list[Event]:
        return result(self.store.events(after, 1_000_000))
