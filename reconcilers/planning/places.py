"""On which edges one more of a job's chunks may be, as far as they lie apart from each other."""

from datamodel.scheduling.placing import APART, EDGES
from reconcilers.planning.backlog import PendingJob
from reconcilers.planning.usage import Usage


class Places:
    """The edges or sites that a job's chunks have taken, where no two may be on one."""

    def __init__(self, job: PendingJob, usage: Usage) -> None:
        lie = job.arrangement
        self.are_apart = lie is not None and lie.chunks == APART
        self._over_edges = lie is None or lie.over == EDGES
        self._taken = {self._place(path) for path in usage.of_job(job.path)}

    def take(self, path: str) -> bool:
        """Puts one more on an edge; whether it may be there."""
        place = self._place(path)
        may = not self.are_apart or place not in self._taken
        self._taken.add(place)
        return may

    def _place(self, path: str) -> str:
        return path if self._over_edges else path.split("/", 4)[3]
