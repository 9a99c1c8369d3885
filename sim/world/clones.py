"""Clones: hosts that run from copies of an edge's disk, under its name, beside it."""

from collections.abc import Iterator, Mapping

from sim.world.engine import Engine
from sim.world.hosts import EdgeHost

RESTARTED_S = 1.0
"""An operator who has ended a clone starts the other one again, which may not have been believed."""


class Clones:
    """Those of all edges, one at a time of each."""

    def __init__(self, edges: Mapping[str, EdgeHost], slots: int) -> None:
        self._edges, self._slots = edges, slots
        self._running: dict[str, EdgeHost] = {}
        self._engines: dict[str, Engine] = {}

    def begin(self, name: str) -> bool:
        """Copies the disk of an edge as it is, with nothing that runs there, and starts a host on the copy. Whether that was
        done: not of an edge whose steps write, since a log has one writer by its key."""
        edge = self._edges[name]
        if name in self._running or edge.engine.logbook is not None:
            return False
        host = f"{name}-clone-{len(self._engines)}"
        clone = self._running[name] = EdgeHost(edge.around, name, self._slots, host=host)
        clone.disk.put_back(edge.disk.content)
        edge.around.outboxes.copied(name, host)
        clone.engine.power, clone.engine.images = edge.engine.power, edge.engine.images
        self._engines[host] = clone.engine
        clone.boot()
        return True

    def end(self, name: str) -> None:
        """Ends the clone of an edge for good, with all that it runs, and starts the edge again."""
        clone = self._running.pop(name, None)
        if clone is not None:
            clone.end()
            self._edges[name].kill(RESTARTED_S)

    def end_all(self) -> None:
        for name in [*self._running]:
            self.end(name)

    def engines(self) -> Iterator[tuple[str, Engine]]:
        """Of all clones that there ever were, by host."""
        yield from self._engines.items()
