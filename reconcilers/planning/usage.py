"""What attempts hold of what there is: by job, and by job group."""

from collections import Counter
from collections.abc import Mapping

import msgspec

from datamodel.kinds import Amounts
from datamodel.scheduling.scheduler import PRIORITY_DEFAULT
from reconcilers.planning.backlog import Signature


class Held(msgspec.Struct, frozen=True, gc=False):
    """What one attempt holds: of which job, on which edge (the path of the desired node), and of which priority the job is."""

    job: str
    edge: str
    signature: Signature
    priority: int = PRIORITY_DEFAULT

    @property
    def group(self) -> str:
        return self.job.split("/", 4)[3]


class Usage:
    """What all attempts hold that have not ended. To say something of one twice changes nothing."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self._priorities: Counter[int] = Counter()
        self._jobs: dict[str, Counter[str]] = {}
        self._groups: dict[str, dict[str, int]] = {}
        self._jobs_of: dict[str, set[str]] = {}

    def add(self, attempt: str, held: Held) -> None:
        if attempt in self._held:
            return
        self._held[attempt] = held
        self._priorities[held.priority] += 1
        edges = self._jobs.get(held.job)
        if edges is None:
            edges = self._jobs[held.job] = Counter()
            self._jobs_of.setdefault(held.group, set()).add(held.job)
        edges[held.edge] += 1
        used = self._groups.setdefault(held.group, {})
        for name, amount in held.signature:
            used[name] = used.get(name, 0) + amount

    def remove(self, attempt: str) -> None:
        held = self._held.pop(attempt, None)
        if held is None:
            return
        self._priorities[held.priority] -= 1
        edges, group = self._jobs[held.job], held.group
        edges[held.edge] -= 1
        if not edges[held.edge]:
            del edges[held.edge]
        used = self._groups[group]
        for name, amount in held.signature:
            used[name] -= amount
        if not edges:
            del self._jobs[held.job]
            self._jobs_of[group].discard(held.job)
            if not self._jobs_of[group]:
                del self._jobs_of[group], self._groups[group]

    def of_group(self, group: str) -> Amounts:
        """What its jobs hold together, by resource."""
        return self._groups.get(group, {})

    def of_job(self, job: str) -> Mapping[str, int]:
        """How many attempts at its chunks there are on each edge."""
        return self._jobs.get(job, {})

    def holds(self, job: str) -> bool:
        """Whether something of the job is in flight."""
        return job in self._jobs

    def jobs_in_flight(self, group: str) -> int:
        """How many of its jobs hold something."""
        return len(self._jobs_of.get(group, ()))

    def begun_in(self, group: str) -> list[str]:
        """The jobs of the group that hold something, in order."""
        return sorted(self._jobs_of.get(group, ()))

    def below(self, priority: int) -> dict[str, list[tuple[str, Held]]]:
        """By edge, the attempts of jobs of at most this priority, in the order in which they were placed."""
        found: dict[str, list[tuple[str, Held]]] = {}
        if any(count for known, count in self._priorities.items() if known <= priority):
            for attempt, held in self._held.items():
                if held.priority <= priority:
                    found.setdefault(held.edge, []).append((attempt, held))
        return found

    def __contains__(self, attempt: str) -> bool:
        return attempt in self._held

    def __len__(self) -> int:
        return len(self._held)
