"""What holds after any sequence of commands over the scheduling model, sensible or not."""

from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from datamodel.command import Actor, Command, Outcome
from datamodel.ledger import Entry
from datamodel.node import Node
from datamodel.scheduling.attempts import ABANDON, COUNTED, ENDED, RETRY, claim_of
from datamodel.scheduling.edges import desired_path, inventory_path
from datamodel.scheduling.jobs import FAILED, RUNNING, SUCCEEDED
from datamodel.seeds import seed
from datamodel.verify import verify
from tests.graph import EDGE, JOBS, SYSTEM, USER, attempt, edge_spec, job, memory_store, send

_EDGES = st.sampled_from(["a", "b"])
_NAMES = st.sampled_from(["x", "y"])
_PHASES = st.sampled_from(sorted({RUNNING, *ENDED}))
_Result = TypeVar("_Result")


def result(work: Coroutine[Any, Any, _Result]) -> _Result:
    """What a coroutine returns that never waits, as those of the store in memory."""
    try:
        work.send(None)
    except StopIteration as finished:
        value: _Result = finished.value
        return value
    raise AssertionError("the store in memory waited")


class Graph(RuleBasedStateMachine):
    """A site with two small edges and jobs that come and go under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.store = memory_store()
        self.seen: list[Node] = []
        """Every job there ever was: commands about the dead are worth trying too."""
        self.counted: dict[tuple[str, int], Entry] = {}
        self.epochs: dict[tuple[str, int], list[int]] = {}
        self.ends: list[tuple[str, int, str, str]] = []
        """Owner, index, phase and settlement of every attempt that ended."""

    @initialize()
    def site(self) -> None:
        result(seed(self.store))
        sites = [Command("create", f"/{plane}/sites/s") for plane in ("inventory", "desired-config")]
        self.send(*sites, *(Command("create", desired_path("s", edge)) for edge in "ab"), actor=SYSTEM)
        self.send(*(Command("create", inventory_path("s", edge), edge_spec()) for edge in "ab"), actor=EDGE)
        for name in ("x", "y"):
            self.create_job(name)

    @rule(name=_NAMES, steps=st.sampled_from(["create", "create", "create", "patch", "delete", "finalize", "end"]))
    def change_job(self, name: str, steps: str) -> None:
        if steps == "create":
            self.create_job(name)
        if steps == "patch":
            self.send(Command("patchSpec", f"{JOBS}/{name}", {"retries": 0}, expected_version=12))
        if steps in ("delete", "end"):
            self.send(Command("delete", f"{JOBS}/{name}"))
        if steps in ("finalize", "end"):
            self.send(Command("finalize", f"{JOBS}/{name}", {"finalizer": "attempts"}), actor=SYSTEM)

    def create_job(self, name: str) -> None:
        (verdict,) = self.send(job(name, chunks=3, retries=1))
        if verdict.error is None:
            self.seen.append(self.store.state.nodes[verdict.path])

    @rule(
        data=st.data(), edge=_EDGES, count=st.sampled_from([1, 1, 2]), skipped=st.sampled_from([0, 0, 0, 0, 0, 1, -1])
    )
    def place(self, data: st.DataObject, edge: str, count: int, skipped: int) -> None:
        owner, entries = data.draw(st.sampled_from(self.seen[-3:])), self.store.state.entries
        known = [entry for entry in entries.values() if entry.owner == owner.uid]
        waiting = [entry.index for entry in known if entry.phase == RETRY]
        first = data.draw(st.sampled_from([0, len(known), *waiting, *waiting]))
        keys = [(owner.uid, index) for index in range(first, first + count)]
        before = {key: entries[key] for key in keys if key in entries}
        epochs = [max(1, (before[key].epoch if key in before else 0) + 1 + skipped) for key in keys]
        commands = [attempt(owner, key[1], epoch, edge) for key, epoch in zip(keys, epochs, strict=True)]
        outcome = self.send(*commands, actor=SYSTEM, atomic=data.draw(st.booleans()))
        for key, epoch, verdict in zip(keys, epochs, outcome, strict=True):
            if verdict.outcome == "changed":
                assert key not in before or self.is_given_up(before[key].holder)
                self.epochs.setdefault(key, []).append(epoch)
                pool = self.store.state.pools[inventory_path("s", edge)]
                assert all(pool.used[resource] <= pool.capacity[resource] for resource in pool.used)

    def is_given_up(self, path: str) -> bool:
        """Whether an attempt may be followed by another one."""
        node = self.store.state.nodes.get(path)
        return node is None or node.phase in ENDED or node.spec["intent"] == ABANDON

    @precondition(lambda self: self.attempts())
    @rule(data=st.data(), phase=_PHASES, percent=st.integers(0, 100))
    def report(self, data: st.DataObject, phase: str, percent: int) -> None:
        path = data.draw(st.sampled_from(self.attempts()))
        claim, entries = claim_of(path), self.store.state.entries
        assert claim is not None
        before = entries.get((claim.owner, claim.index))
        (verdict,) = self.send(Command("patchStatus", path, {"phase": phase, "percent": percent}), actor=EDGE)
        if before is not None and before.epoch > claim.epoch:
            assert entries[claim.owner, claim.index] == before
        if verdict.outcome == "changed" and phase in ENDED:
            settlement = self.store.state.nodes[path].status["settlement"]
            self.ends.append((claim.owner, claim.index, phase, settlement))

    @precondition(lambda self: self.attempts())
    @rule(data=st.data(), intent=st.sampled_from(["stop", "abandon", "abandon"]))
    def intend(self, data: st.DataObject, intent: str) -> None:
        path = data.draw(st.sampled_from(self.attempts()))
        self.send(Command("patchSpec", path, {"intent": intent}), actor=SYSTEM)

    @precondition(lambda self: self.attempts())
    @rule(data=st.data())
    def delete_attempt(self, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(self.attempts()))
        ended = self.store.state.nodes[path].phase in ENDED
        (verdict,) = self.send(Command("delete", path), actor=SYSTEM)
        assert (verdict.error is None) == ended

    @rule(edge=_EDGES, cpu=st.sampled_from([None, 0.25, 1.0, 1.0, 2.0]))
    def change_edge(self, edge: str, cpu: float | None) -> None:
        path = inventory_path("s", edge)
        gone = Command("delete", path)
        self.send(gone if cpu is None else Command("apply", path, edge_spec(cpu=cpu)), actor=EDGE)

    @invariant()
    def the_projection_is_the_fold_and_counters_are_sums(self) -> None:
        found = result(verify(self.store))
        assert found.clean, str(found)

    @invariant()
    def what_is_counted_never_changes(self) -> None:
        state = self.store.state
        for key, entry in self.counted.items():
            assert key[0] not in state.totals or state.entries[key] == entry
        self.counted |= {key: entry for key, entry in state.entries.items() if entry.phase in COUNTED}

    @invariant()
    def the_ledger_is_what_was_counted_of_the_attempts_ends(self) -> None:
        state = self.store.state
        for key, entry in state.entries.items():
            if key[0] in state.totals:
                counted = Counter(end[2] for end in self.ends if end[:2] == key and end[3] == "counted")
                assert entry.failures == counted[FAILED]
                assert (entry.phase == SUCCEEDED) == (counted[SUCCEEDED] == 1)
                assert counted[SUCCEEDED] <= 1
                assert self.epochs[key] == list(range(1, entry.epoch + 1))

    def attempts(self) -> list[str]:
        return sorted(path for path, node in self.store.state.nodes.items() if node.kind == "Attempt")

    def send(self, *commands: Command, actor: Actor = USER, atomic: bool = True) -> Outcome:
        """The verdicts on a unit; one of which everything was refused leaves no trace."""
        before = self.image()
        outcome = result(send(self.store, *commands, actor=actor, atomic=atomic))
        if all(verdict.error is not None for verdict in outcome):
            assert self.image() == before
        return outcome

    def image(self) -> tuple[Any, ...]:
        state = self.store.state
        rows = (dict(state.nodes), dict(state.pools), dict(state.entries), dict(state.totals))
        return (*rows, result(self.store.head()))


TestGraph = Graph.TestCase
TestGraph.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
