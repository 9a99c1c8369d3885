"""What a trace asks Tendril for: its jobs, split into chunks that an edge has room for."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from datamodel.kinds import Document
from datamodel.scheduling.jobs import GANG_LIMIT
from datamodel.scheduling.resources import CPU_LIMIT, MEMORY_LIMIT_BYTES, amounts
from datamodel.scheduling.scheduler import PRIORITY_DEFAULT
from datamodel.scheduling.splitting import CHUNKS_LIMIT
from reconcilers.planning.backlog import Signature
from sim.traces.swf import INTERACTIVE, PARTIAL, Record

JOBS_LIMIT = 1_000_000
"""Of one replay."""
WATTS = 5.0
"""That a processor takes: the format says nothing of power."""
MEMORY_KB = 65_536
"""For each processor, where the trace does not say."""
INTERACTIVE_PRIORITY = 100

UNKNOWN, PART, TOO_WIDE = "unknown", "part", "tooWide"
"""Why a line is no job: it does not say when, for how long or on how many processors; it is a part of another one; it has more
chunks than a job may have."""


class Shape(NamedTuple):
    """How jobs become chunks: of so many processors at most, which begin `together`, as on a parallel machine, or each when it
    can."""

    width: int = 8
    together: bool = False


class Task(NamedTuple):
    """A job of a trace: so many equal chunks, each of which runs for `run_ms`. Times are from the trace's beginning."""

    number: int
    group: str
    priority: int
    submit_ms: int
    run_ms: int
    chunks: int
    together: bool
    requests: Document

    @property
    def signature(self) -> Signature:
        """What a chunk reserves."""
        return tuple(sorted(amounts(self.requests).items()))


class Workload(NamedTuple):
    """The jobs in order of their submission, and how many lines are left out, by reason. `whole`: no line was left unread."""

    tasks: Sequence[Task]
    left_out: Counter[str]
    whole: bool


def workload(records: Iterable[Record], shape: Shape, *, limit: int) -> Workload:
    """The first jobs of a trace, at most `limit` of them."""
    tasks: list[Task] = []
    left_out = Counter[str]()
    for record in records:
        if len(tasks) == limit:
            return Workload(tasks, left_out, whole=False)
        found = _task(record, len(tasks) + 1, shape)
        if isinstance(found, Task):
            tasks.append(found)
        else:
            left_out[found] += 1
    return Workload(tasks, left_out, whole=True)


def _task(record: Record, number: int, shape: Shape) -> Task | str:
    """The job, or why the line is none. What was asked for goes before what was used."""
    processors = record.asked_processors or record.processors
    if record.status in PARTIAL:
        return PART
    if record.submit_s is None or record.run_s is None or not processors:
        return UNKNOWN
    chunks = math.ceil(processors / shape.width)
    each = processors / chunks
    memory_kb = record.asked_memory_kb or record.memory_kb or MEMORY_KB
    memory_bytes = math.ceil(memory_kb * 1024 * each)
    limit = GANG_LIMIT if shape.together else CHUNKS_LIMIT
    if chunks > limit or each > CPU_LIMIT or memory_bytes > MEMORY_LIMIT_BYTES:
        return TOO_WIDE
    return Task(
        number,
        "default" if record.group is None else f"g{record.group}",
        INTERACTIVE_PRIORITY if record.queue == INTERACTIVE else PRIORITY_DEFAULT,
        round(record.submit_s * 1000),
        round(record.run_s * 1000),
        chunks,
        shape.together and chunks > 1,
        {"cpu": each, "memoryBytes": memory_bytes, "powerW": WATTS * each},
    )
