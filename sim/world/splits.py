"""How many chunks jobs of a world have and which each is, and whether that holds, seen in every event of the log."""

from collections.abc import Callable
from math import inf

from datamodel.event import Event
from datamodel.node import Node
from datamodel.scheduling.resources import CPU, amounts
from datamodel.state import State

FIRST, SECOND, STEP = 7, 10, 3
"""The first index of each array, the second one, and how far the others are from each other."""


def array_of(chunks: int) -> str:
    """A set of so many indices."""
    return str(FIRST) if chunks == 1 else f"{FIRST},{SECOND}-{SECOND + STEP * (chunks - 2)}:{STEP}"


def number_of(job: Node) -> int:
    """How many chunks a job has; one where it is not split yet."""
    number: int = job.spec.get("chunks") or job.status.get("split", {"chunks": 1})["chunks"]
    return number


class Splits:
    """Complains, by a sentence to `complain`, of a number of chunks that is another later, that nobody may choose, or that
    attempts do not go by."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        self._complain = complain
        self._chosen: dict[str, int] = {}
        """By a job's uid."""

    def restored(self, state: State) -> None:
        """The database was put back: what was chosen since was not."""
        jobs = [node for node in state.nodes.values() if node.kind == "Job"]
        self._chosen = {job.uid: job.status["split"]["chunks"] for job in jobs if "split" in job.status}

    def appended(self, event: Event, state: State) -> None:
        if event.kind == "Job" and event.op == "statusChanged":
            self._told(event, state)
        elif event.kind == "Attempt" and event.op == "created":
            self._placed(event, state)

    def _told(self, event: Event, state: State) -> None:
        split = event.part["status"].get("split")
        before = self._chosen.get(event.uid)
        if before is not None and split != {"chunks": before}:
            self._complain(f"{event.path} was split into {before} chunks, and its status says {split}")
        if before is None and split is not None:
            self._chosen[event.uid] = split["chunks"]
            job = state.nodes.get(event.path)
            if job is not None:
                self._first(job, split["chunks"], state)

    def _first(self, job: Node, chosen: int, state: State) -> None:
        """No more than it may have, and than there was room for anywhere, whatever was free of it."""
        least_ws = job.spec.get("minChunkWs", 0.0)
        most = min(job.spec.get("maxChunks", 0), job.spec.get("maxParallel", inf))
        each = amounts(job.spec["requests"])[CPU]
        room = sum(pool.capacity.get(CPU, 0) // each for pool in state.pools.values())
        if not 1 <= chosen <= most or (chosen > 1 and job.spec["workWs"] / chosen < least_ws):
            self._complain(f"{job.path} is split into {chosen} chunks: {job.spec}")
        if chosen > max(1, room):
            self._complain(f"{job.path} is split into {chosen} chunks, and all edges have room for {room}")

    def _placed(self, event: Event, state: State) -> None:
        spec = event.part["spec"]
        job = state.nodes.get(spec["job"])
        if job is None:
            return
        if "chunks" not in job.spec and "split" not in job.status:
            self._complain(f"{event.path} is placed, and its job is not split yet")
        number, index = number_of(job), spec["index"]
        if spec["count"] != number or index >= number or spec["workWs"] != job.spec["workWs"] / number:
            self._complain(f"{event.path} is chunk {index} of {spec['count']}, and its job has {number}")
        due = None if "array" not in job.spec else FIRST if not index else SECOND + STEP * (index - 1)
        if spec.get("arrayIndex") != due:
            self._complain(f"{event.path} has the index {spec.get('arrayIndex')} in {job.spec.get('array')}")
