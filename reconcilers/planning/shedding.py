"""What goes elsewhere where an edge has less than is reserved of it."""

from collections.abc import Mapping, Sequence

from datamodel.kinds import Amounts
from datamodel.node import Node
from datamodel.scheduling.attempts import RUN
from datamodel.scheduling.resources import amounts
from datamodel.scheduling.scheduler import PRIORITY_DEFAULT


def shed(attempts: Sequence[Node], capacity: Amounts, jobs: Mapping[str, Node]) -> list[Node]:
    """The attempts that are to end so that the rest fits: of the lowest priority first, of equal ones the youngest. `attempts`
    are those on the edge that have not ended, of which those that are given up already are none of the rest; `jobs` are
    theirs, by path: of one that is gone nobody waits for the end, and it goes first. Who holds nothing of what there is too
    little of stays."""
    running = [attempt for attempt in attempts if attempt.spec["intent"] == RUN]
    held = {attempt.path: amounts(attempt.spec["requests"]) for attempt in running}
    used: dict[str, int] = {}
    for amount in held.values():
        for name, much in amount.items():
            used[name] = used.get(name, 0) + much
    ended: list[Node] = []
    for attempt in sorted(running, key=lambda one: (_priority(one, jobs), -one.created_version)):
        short = [name for name, much in used.items() if much > capacity.get(name, 0)]
        if not short:
            break
        mine = held[attempt.path]
        if any(mine.get(name) for name in short):
            ended.append(attempt)
            for name, much in mine.items():
                used[name] -= much
    return ended


def _priority(attempt: Node, jobs: Mapping[str, Node]) -> int:
    job = jobs.get(attempt.spec["job"])
    if job is None or job.uid not in attempt.links["job"]:
        return -1
    priority: int = job.spec.get("priority", PRIORITY_DEFAULT)
    return priority
