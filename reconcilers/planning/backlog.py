"""What waits to be placed, kept so that a round of placement costs what it places and not what there is."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, Self

import msgspec
from sortedcontainers import SortedDict

from datamodel.kinds import Document
from datamodel.node import Node
from datamodel.scheduling.cutoff import is_exclusive
from datamodel.scheduling.order import rank_of
from datamodel.scheduling.placing import ANYWHERE, Rules
from datamodel.scheduling.resources import amounts
from datamodel.scheduling.scheduler import ARRIVAL, PRIORITY_DEFAULT
from datamodel.scheduling.splitting import chunks_of, is_split, most_chunks

Signature = tuple[tuple[str, int], ...]
"""What a chunk asks for: amounts by resource, sorted."""


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """One chunk of a job that may be placed: its index and the epoch that its next attempt will have."""

    index: int
    epoch: int


class Wanted:
    """What is wanted of an edge: so much of each resource, and what the rules say. Equal ones are mostly one object
    (`wanted_of`), and compared as that: so they cost nothing to look up."""

    __slots__ = ("rules", "signature")

    def __init__(self, signature: Signature, rules: Rules) -> None:
        self.signature, self.rules = signature, rules


class Ask(NamedTuple):
    """What chunks have in common that are placed alike: where one of them finds no room, none does. A job whose chunks have to
    do with each other asks for itself (`job`: its uid)."""

    wanted: Wanted
    job: str = ""


Asker = tuple[str, Ask]
"""Who waits: those of a job group that ask for the same."""


class Ranking(NamedTuple):
    """How jobs of a group go before each other, of the Scheduler's spec: a point of priority is worth so many seconds of
    waiting. Who waits gains on whoever came later, whatever that one's priority is: so nobody starves, but for those who may be
    stopped for others, where some are (`margin`)."""

    order: str = ARRIVAL
    ageing_s: float = 0.0
    margin: int | None = None

    def key(self, job: Node) -> float:
        """The smallest goes first; of equal ones, who came first."""
        return rank_of(job, self.order, self.ageing_s, self.margin)


class Arranged(NamedTuple):
    """How a job's chunks lie to each other: `pack`, `spread` or `apart`, over `edges` or `sites`."""

    chunks: str
    over: str


class PendingJob(msgspec.Struct, frozen=True, gc=False):
    """What placement has to know of a job with chunks to place, and no more, for there may be a million: first go those that
    wait for a new attempt, then the never placed ones in order, which are a number and not rows. `order` is the position at
    which the job was created, `count` that of all its chunks, `room` how many more it may have placed at a time (None: any
    number), and of a gang none is placed before all are. `most`: it is not settled yet how many chunks it has, but at most so
    many; until it is split it counts as one."""

    path: str
    uid: str
    order: int
    count: int
    wanted: Wanted
    next_index: int
    retries: tuple[Chunk, ...] = ()
    rank: float = 0.0
    room: int | None = None
    arrangement: Arranged | None = None
    together: bool = False
    generation: int = 1
    priority: int = PRIORITY_DEFAULT
    most: int | None = None

    @classmethod
    def of(
        cls,
        job: Node,
        begun: int,
        retries: tuple[Chunk, ...],
        *,
        ranking: Ranking,
        group: Document,
        in_flight: int = 0,
        images: tuple[str, ...] = (),
    ) -> Self:
        """The job as the graph has it, when so many of its chunks have been placed before, and so many are in flight. `group`:
        the spec of its group. `images`: those by which edges are told apart for it."""
        spec = job.spec
        parallel = spec.get("maxParallel")
        arranged = (spec.get("placement") or {}).get("arrangement")
        has_rules = "placement" in spec or group.get("sites") or images or is_exclusive(spec)
        return cls(
            job.path,
            job.uid,
            job.created_version,
            chunks_of(job),
            wanted_of(
                signature_of(spec),
                Rules.of(spec, group, images) if has_rules else ANYWHERE,
            ),
            begun,
            retries,
            ranking.key(job),
            None if parallel is None else parallel - in_flight,
            Arranged(arranged["chunks"], arranged["over"]) if arranged else None,
            bool(spec.get("allOrNothing")),
            job.generation,
            spec.get("priority", PRIORITY_DEFAULT),
            None if is_split(job) else most_chunks(spec),
        )

    @property
    def signature(self) -> Signature:
        return self.wanted.signature

    @property
    def group(self) -> str:
        """The name of the job's group."""
        return self.path.split("/", 4)[3]

    @property
    def is_gang(self) -> bool:
        """Whether none of its chunks is to be placed before all can be. A chunk that is tried again goes alone."""
        return self.together and not self.next_index

    @property
    def is_at_once(self) -> bool:
        """Whether what is decided for it together is carried out together or not at all."""
        return self.is_gang or self.most is not None

    @property
    def ask(self) -> Ask:
        alone = self.arrangement is not None or self.is_gang
        return Ask(self.wanted, self.uid if alone else "")

    @property
    def asker(self) -> Asker:
        return (self.group, self.ask)

    @property
    def place(self) -> tuple[float, int]:
        """Before whom it goes in its group."""
        return (self.rank, self.order)

    @property
    def waiting(self) -> int:
        """How many chunks may be placed now."""
        waiting = len(self.retries) + self.count - self.next_index
        return waiting if self.room is None else max(0, min(waiting, self.room))

    def chunks(self) -> Iterator[Chunk]:
        """What waits, in the order in which it is placed."""
        yield from self.retries
        for index in range(self.next_index, self.count):
            yield Chunk(index, 1)

    def settled(self) -> "PendingJob":
        """The job once it is known that it has so many chunks."""
        return msgspec.structs.replace(self, most=None)

    def without(self, placed: Sequence[Chunk]) -> "PendingJob":
        """The job once these chunks of it have been placed."""
        begun = [chunk.index for chunk in placed if chunk.epoch == 1]
        gone = set(placed)
        return msgspec.structs.replace(
            self,
            next_index=max(begun) + 1 if begun else self.next_index,
            retries=tuple(chunk for chunk in self.retries if chunk not in gone),
            room=None if self.room is None else self.room - len(placed),
        )


def signature_of(spec: Document) -> Signature:
    return tuple(sorted(amounts(spec["requests"]).items()))


@lru_cache(maxsize=65_536)
def wanted_of(signature: Signature, rules: Rules = ANYWHERE) -> Wanted:
    """The one object for these, as long as it is kept. A second one is looked for by itself, and finds the same."""
    return Wanted(signature, rules)


class Line:
    """The waiting jobs of a group, in order, those together that ask for the same."""

    def __init__(self) -> None:
        self.asks: dict[Ask, SortedDict[tuple[float, int], PendingJob]] = {}
        self.heads: SortedDict[tuple[float, int], Ask] = SortedDict()
        """What the first job of each ask is."""

    def put(self, job: PendingJob) -> None:
        ask, place = job.ask, job.place
        jobs = self.asks.get(ask)
        if jobs is None:
            jobs = self.asks[ask] = SortedDict()
        elif place < (first := jobs.keys()[0]):
            del self.heads[first]
        if not jobs or place < jobs.keys()[0]:
            self.heads[place] = ask
        jobs[place] = job

    def drop(self, job: PendingJob) -> None:
        ask, place = job.ask, job.place
        jobs = self.asks[ask]
        del jobs[place]
        if self.heads.get(place) is not None:
            del self.heads[place]
            if jobs:
                self.heads[jobs.keys()[0]] = ask
        if not jobs:
            del self.asks[ask]

    def __len__(self) -> int:
        return len(self.asks)


class Backlog:
    """All pending jobs, by group."""

    def __init__(self) -> None:
        self._jobs: dict[str, PendingJob] = {}
        self.lines: dict[str, Line] = {}

    def put(self, job: PendingJob) -> None:
        """Adds or replaces a job; one with nothing waiting is dropped."""
        self.drop(job.path)
        if job.waiting:
            self._jobs[job.path] = job
            line = self.lines.get(job.group)
            if line is None:
                line = self.lines[job.group] = Line()
            line.put(job)

    def drop(self, path: str) -> None:
        job = self._jobs.pop(path, None)
        if job is not None:
            line = self.lines[job.group]
            line.drop(job)
            if not line:
                del self.lines[job.group]

    def get(self, path: str) -> PendingJob | None:
        return self._jobs.get(path)

    def of_group(self, group: str) -> list[str]:
        """The paths of its jobs."""
        line = self.lines.get(group)
        return [job.path for jobs in line.asks.values() for job in jobs.values()] if line is not None else []

    def __len__(self) -> int:
        return len(self._jobs)
