"""What waits to be placed, kept so that a round of placement costs what it places and not what there is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from sortedcontainers import SortedDict

from datamodel.kinds import Document
from datamodel.node import Node
from datamodel.scheduling.resources import amounts

Signature = tuple[tuple[str, int], ...]
"""What a chunk asks for: amounts by resource, sorted; jobs that ask for the same are tried together."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk of a job that may be placed: its index and the epoch that its next attempt will have."""

    index: int
    epoch: int


@dataclass(frozen=True, slots=True)
class PendingJob:
    """A job with chunks to place: first those that wait for a new attempt, then the never placed ones in order, which are a
    number and not rows. `order` is the position at which the job was created."""

    path: str
    uid: str
    order: int
    spec: Document
    signature: Signature
    next_index: int
    retries: tuple[Chunk, ...] = ()
    generation: int = 1
    correlation: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[Document, ...] = ()

    @classmethod
    def of(cls, job: Node, begun: int, retries: tuple[Chunk, ...]) -> Self:
        """The job as the graph has it, when so many of its chunks have been placed before."""
        signature = signature_of(job.spec)
        order, generation, correlation = job.created_version, job.generation, job.correlation
        inputs = tuple(job.status.get("inputs", ()))
        return cls(
            job.path,
            job.uid,
            order,
            job.spec,
            signature,
            begun,
            retries,
            generation,
            correlation,
            job.labels,
            inputs,
        )

    @property
    def count(self) -> int:
        count: int = self.spec["chunks"]
        return count

    @property
    def waits(self) -> bool:
        return bool(self.retries) or self.next_index < self.count

    def chunks(self) -> Iterator[Chunk]:
        """What waits, in the order in which it is placed."""
        yield from self.retries
        for index in range(self.next_index, self.count):
            yield Chunk(index, 1)

    def without(self, placed: Sequence[Chunk]) -> "PendingJob":
        """The job once these chunks of it have been placed."""
        begun = [chunk.index for chunk in placed if chunk.epoch == 1]
        gone = set(placed)
        return replace(
            self,
            next_index=max(begun) + 1 if begun else self.next_index,
            retries=tuple(chunk for chunk in self.retries if chunk not in gone),
        )


def signature_of(spec: Document) -> Signature:
    return tuple(sorted(amounts(spec["requests"]).items()))


class Backlog:
    """Pending jobs by what they ask for, each group in order of arrival."""

    def __init__(self) -> None:
        self._jobs: dict[str, PendingJob] = {}
        self._groups: dict[Signature, SortedDict[int, PendingJob]] = {}

    def put(self, job: PendingJob) -> None:
        """Adds or replaces a job; one with nothing waiting is dropped."""
        self.drop(job.path)
        if job.waits:
            self._jobs[job.path] = job
            group = self._groups.get(job.signature)
            if group is None:
                group = self._groups[job.signature] = SortedDict()
            group[job.order] = job

    def drop(self, path: str) -> None:
        job = self._jobs.pop(path, None)
        if job is not None:
            group = self._groups[job.signature]
            del group[job.order]
            if not group:
                del self._groups[job.signature]

    def get(self, path: str) -> PendingJob | None:
        return self._jobs.get(path)

    def groups(self) -> list[tuple[Signature, Iterator[PendingJob]]]:
        """For each signature its jobs in order of arrival."""
        return [(signature, iter(group.values())) for signature, group in self._groups.items()]

    def __len__(self) -> int:
        return len(self._jobs)
