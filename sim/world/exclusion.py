"""Exclusive jobs, seen at the engines: of all attempts at a chunk of theirs, one runs at a time, wherever it is."""

from functools import partial

from agents.runtimes.protocol import Work
from datamodel.scheduling.attempts import ABANDONED
from datamodel.scheduling.edges import desired_path
from sim.world.database import Database
from sim.world.engine import Engine
from sim.world.keys import SITE
from sim.world.universe import Universe

FORGOTTEN_S = 120.0
"""A database that was put back knows nothing of what was placed since, and may place it elsewhere for as long as that runs."""


class Exclusion:
    """Adds a sentence to `broken` for each that runs beside another."""

    def __init__(self, universe: Universe, database: Database, broken: list[str]) -> None:
        self._universe, self._database, self._broken = universe, database, broken
        self._engines: list[tuple[str, Engine]] = []
        self._restored_s = -FORGOTTEN_S
        self.started = 0
        """How many steps of exclusive jobs."""

    def watch(self, edge: str, engine: Engine) -> None:
        """One more engine, of a host that has this name or runs from a copy of its disk."""
        self._engines.append((edge, engine))
        engine.runs_now = partial(self._begun, engine)

    def restored(self) -> None:
        """The database was put back."""
        self._restored_s = self._universe.now_s

    def _begun(self, engine: Engine, work: Work) -> None:
        if not work.lease_s:
            return
        self.started += 1
        if self._universe.now_s - self._restored_s < FORGOTTEN_S:
            return
        chunk = work.attempt.rpartition("-")[0]
        for edge, other in self._engines:
            for name in other.attempts:
                is_itself = other is engine and name == work.attempt
                if name.rpartition("-")[0] == chunk and not is_itself and other.is_running(name):
                    self._tell(work, edge, name)

    def _tell(self, work: Work, edge: str, name: str) -> None:
        """Unless an operator has said that the other one's host is off, or a rogue with its edge's rights that it has ended."""
        node = self._database.store.state.nodes.get(f"{desired_path(SITE, edge)}/attempts/{name}")
        status = node.status if node is not None else {}
        if status.get("phase") != ABANDONED and not status.get("message", "").startswith("rogue-"):
            self._broken.append(f"{work.attempt} of an exclusive job begins on {work.edge}, and {name} runs on {edge}")
