"""What placement decides: which chunk goes to which edge and why, and who waits for what."""

from collections.abc import Mapping
from typing import NamedTuple

from datamodel.command import Command
from datamodel.kinds import Document
from datamodel.node import Node
from datamodel.scheduling.attempts import attempt_name
from datamodel.scheduling.cutoff import attempt_terms
from datamodel.scheduling.scheduler import ARRIVAL
from datamodel.scheduling.splitting import array_index
from reconcilers.planning.backlog import Asker, Chunk, PendingJob, Wanted

NO_ROOM, QUOTA, JOBS_LIMIT = "NoRoom", "QuotaReached", "JobsLimitReached"


class Decision(NamedTuple):
    """One chunk goes to one edge."""

    job: PendingJob
    chunk: Chunk
    edge: str
    how: Document = {}
    """How an edge was looked for: one object for all that are looked for alike."""
    share: float | None = None
    """The group's when it was decided, where that says who goes next."""

    @property
    def attempt(self) -> str:
        """The path of the attempt. Its name makes a second one for the same chunk and epoch a conflict."""
        return f"{self.edge}/attempts/{attempt_name(self.job.uid, self.chunk.index, self.chunk.epoch)}"

    @property
    def why(self) -> Document:
        """What the attempt says of it, a `datamodel.scheduling.deciding.Decided`."""
        if self.share is not None:
            return {**self.how, "share": round(self.share, 4)}
        return self.how if self.how["order"] == ARRIVAL else {**self.how, "rank": int(self.job.rank)}

    def command(self, job: Node) -> Command:
        """The attempt that carries the decision out. It belongs to its job's request, whatever woke the placement."""
        spec = attempt_spec(job, self.chunk, self.job.count)
        return Command(
            "create",
            self.attempt,
            {**spec, "decision": self.why} if self.how else spec,
            links={"job": (job.path,)},
            correlation=job.correlation,
        )


class Blocked(NamedTuple):
    """A job that nothing more is placed of now, and why not."""

    job: PendingJob
    reason: str


class Plan(NamedTuple):
    """What a round decides, and the first of those that it could do nothing for: of all, and of each group. `barren`: for what
    there is no room anywhere once all of it has been carried out. `served`: of those for whom room is kept and
    something was placed, for how many chunks and where it still is then. `has_more`: it ended at its limit, with jobs that
    nobody had looked at."""

    decisions: list[Decision]
    blocked: list[Blocked]
    barren: list[Wanted]
    served: dict[Asker, Mapping[str, int]]
    has_more: bool


def attempt_spec(job: Node, chunk: Chunk, count: int) -> Document:
    """What the edge is told: all it needs, so that it reads nothing else. `count` is that of the job's chunks."""
    spec, inputs = job.spec, job.status.get("inputs")
    return {
        "job": job.path,
        "index": chunk.index,
        "count": count,
        "steps": spec["steps"],
        "requests": spec["requests"],
        "retries": spec["retries"],
        "workWs": spec["workWs"] / count,
        **{name: spec[name] for name in ("priority", "limits", "network", "artifacts", "annotations") if name in spec},
        **({"exitCodes": rules} if (rules := spec.get("retryPolicy", {}).get("exitCodes")) else {}),
        **attempt_terms(spec),
        **({"arrayIndex": array_index(job, chunk.index)} if "array" in spec else {}),
        **({"labels": dict(job.labels)} if job.labels else {}),
        **({"inputs": tuple(inputs)} if inputs else {}),
    }
