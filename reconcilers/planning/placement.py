"""Placement: which waiting chunk goes to which edge now. First fit, in order of arrival."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from datamodel.command import Command
from datamodel.kinds import Document
from datamodel.scheduling.attempts import attempt_name
from reconcilers.planning.backlog import Backlog, Chunk, PendingJob, Signature


@dataclass(frozen=True, slots=True)
class FreeEdge:
    """An edge that takes work: the path of its desired node, and what is free of it by resource."""

    path: str
    free: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Decision:
    """One chunk goes to one edge."""

    job: PendingJob
    chunk: Chunk
    edge: str

    def command(self) -> Command:
        """The attempt that carries the decision out. Its name makes a second one for the same chunk and epoch a conflict. It
        belongs to its job's request, whatever woke the placement."""
        path = f"{self.edge}/attempts/{attempt_name(self.job.uid, self.chunk.index, self.chunk.epoch)}"
        job = self.job
        return Command(
            "create", path, attempt_spec(job, self.chunk), links={"job": (job.path,)}, correlation=job.correlation
        )


def attempt_spec(job: PendingJob, chunk: Chunk) -> Document:
    """What the edge is told: all it needs, so that it reads nothing else."""
    spec = job.spec
    return {
        "job": job.path,
        "index": chunk.index,
        "count": job.count,
        "steps": spec["steps"],
        "requests": spec["requests"],
        "retries": spec["retries"],
        "workWs": spec["workWs"] / job.count,
        **{name: spec[name] for name in ("limits", "network", "artifacts", "annotations") if name in spec},
        **({"exitCodes": rules} if (rules := spec.get("retryPolicy", {}).get("exitCodes")) else {}),
        **({"labels": dict(job.labels)} if job.labels else {}),
        **({"inputs": job.inputs} if job.inputs else {}),
    }


def plan(backlog: Backlog, edges: Sequence[FreeEdge], limit: int) -> list[Decision]:
    """At most `limit` decisions. Jobs are served in order of arrival; one that does not fit anywhere does not keep later
    ones that ask for something else from being placed."""
    free = [dict(edge.free) for edge in edges]
    cursors: dict[Signature, int] = {}
    groups = dict(backlog.groups())
    heads = [(job.order, signature, job) for signature, jobs in groups.items() if (job := next(jobs, None)) is not None]
    heapq.heapify(heads)
    decisions: list[Decision] = []
    while heads and len(decisions) < limit:
        _, signature, job = heads[0]
        fitted = _place(job, edges, free, cursors, decisions, limit)
        following = next(groups[signature], None) if fitted else None
        if following is None:
            heapq.heappop(heads)
        else:
            heapq.heapreplace(heads, (following.order, signature, following))
    return decisions


def _place(
    job: PendingJob,
    edges: Sequence[FreeEdge],
    free: list[dict[str, int]],
    cursors: dict[Signature, int],
    decisions: list[Decision],
    limit: int,
) -> bool:
    """Places what it can of a job; False where its signature fits nowhere any more. What is free only shrinks in a round,
    so an edge that did not fit a signature once is never looked at again for it."""
    at = cursors.get(job.signature, 0)
    chunks: Iterator[Chunk] = job.chunks()
    for chunk in chunks:
        if len(decisions) >= limit:
            break
        while at < len(edges) and any(free[at].get(name, 0) < amount for name, amount in job.signature):
            at += 1
        cursors[job.signature] = at
        if at == len(edges):
            return False
        for name, amount in job.signature:
            free[at][name] -= amount
        decisions.append(Decision(job, chunk, edges[at].path))
    return True
