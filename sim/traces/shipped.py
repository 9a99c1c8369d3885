"""Two synthetic traces, in the format in which they are read: a day each, of a fifth more work than the edges of `FLEET` bear.

They are not from anywhere: times are drawn from lognormal distributions and jobs arrive evenly at random, as a seed decides.
"""

import io
import math
import random
from collections.abc import Iterator
from typing import NamedTuple

from sim.traces.swf import Trace

DAY_S = 86_400
PROCESSORS = 384
"""Of the edges that they are meant for."""
LOAD = 1.2
"""So many times the work of all processors in the day arrives: something always waits."""
SHORTEST_S = 10
MIB_KB = 1_024


class Kind(NamedTuple):
    """A kind of jobs: one of so many, from one of these groups, on so many processors; half of them run for no more than
    `median_s`, none for more than `longest_s`; and with so much memory for each processor."""

    part: float
    group: int
    queue: int
    processors: tuple[int, ...]
    median_s: float
    longest_s: float
    memory_mib: tuple[int, ...]


MIXED, GROUPS = "mixed", "groups"
KINDS = {
    MIXED: (
        Kind(0.95, 1, 1, (1, 1, 2, 2, 3, 4), 240, 1_800, (512, 1_024, 2_048)),
        Kind(0.05, 1, 1, (32, 48, 64, 128), 1_200, 2_400, (1_024, 2_048, 4_096)),
    ),
    GROUPS: (
        Kind(0.40, 1, 1, (1, 2, 4), 300, 3_600, (1_024, 2_048)),
        Kind(0.25, 2, 1, (4, 8, 16), 300, 1_800, (512, 1_024)),
        Kind(0.15, 3, 1, (1, 2), 600, 3_600, (4_096, 6_144)),
        Kind(0.15, 4, 0, (1, 1, 2), 30, 300, (512,)),
        Kind(0.05, 4, 1, (24, 40), 1_200, 3_600, (2_048,)),
    ),
}
"""Many small jobs with a few large ones; and four groups that want unequal things, of which one is interactive."""
SEEDS = {MIXED: 1, GROUPS: 2}
_SPREAD = 1.0
"""Sigma of the logarithm of the run times."""


def trace_of(name: str) -> Trace:
    """The trace of that name, read as a file of it would be."""
    return Trace(io.BytesIO("\n".join(lines(name)).encode()))


def lines(name: str) -> Iterator[str]:
    """The trace of that name, a line at a time."""
    kinds = KINDS[name]
    dice = random.Random(SEEDS[name])  # noqa: S311 - a trace that can be repeated
    drawn, work_s = [], 0
    while work_s < LOAD * PROCESSORS * DAY_S:
        kind = dice.choices(kinds, [kind.part for kind in kinds])[0]
        processors, memory_mib = dice.choice(kind.processors), dice.choice(kind.memory_mib)
        run_s = round(min(kind.longest_s, max(SHORTEST_S, dice.lognormvariate(math.log(kind.median_s), _SPREAD))))
        drawn.append((kind, processors, memory_mib, run_s))
        work_s += processors * run_s
    times = sorted(dice.randrange(DAY_S) for _ in drawn)
    yield from _header(name, len(drawn))
    for number, (submit_s, (kind, processors, memory_mib, run_s)) in enumerate(zip(times, drawn, strict=True), start=1):
        memory_kb = memory_mib * MIB_KB
        yield (
            f"{number} {submit_s - times[0]} -1 {run_s} -1 -1 -1 {processors} -1 {memory_kb}"
            f" -1 {kind.group} {kind.group} -1 {kind.queue} -1 -1 -1"
        )


def _header(name: str, jobs: int) -> Iterator[str]:
    yield "; Version: 2.2"
    yield f"; Computer: none; the synthetic trace {name}"
    yield f"; MaxJobs: {jobs}"
    yield f"; MaxRecords: {jobs}"
    yield f"; MaxProcs: {PROCESSORS}"
    yield f"; Note: drawn with the seed {SEEDS[name]}; queue 0 is interactive"
