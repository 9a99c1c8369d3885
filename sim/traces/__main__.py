"""`python -m sim.traces FILE.swf`: replays a trace with each policy and order; one JSON object is the last line."""

import itertools
import sys
from pathlib import Path
from typing import Annotated, Literal

import cyclopts
import msgspec

from datamodel.errors import Invalid
from sim.traces.edges import FLEET, edges_of
from sim.traces.figures import figures
from sim.traces.replay import Manner, replay
from sim.traces.report import show
from sim.traces.shipped import lines
from sim.traces.swf import opened
from sim.traces.workload import JOBS_LIMIT, Shape, Workload, workload

app = cyclopts.App(name="traces", help="Replay a trace of jobs through the planner.")


@app.default
def trace(
    file: Annotated[Path, cyclopts.Parameter(help="In the Standard Workload Format, plain or of gzip.")],
    *,
    edges: Annotated[str, cyclopts.Parameter(help="COUNTxCORES:GIB, with commas between.")] = FLEET,
    policy: Annotated[
        tuple[Literal["bestFit", "firstFit", "spread", "powerAware"], ...],
        cyclopts.Parameter(help="Which edge is used first; may be given again."),
    ] = ("bestFit",),
    order: Annotated[
        tuple[Literal["fairShare", "priority", "arrival"], ...],
        cyclopts.Parameter(help="Who goes first; may be given again."),
    ] = ("fairShare",),
    width: Annotated[int, cyclopts.Parameter(help="Processors of a chunk at most; jobs with more have several.")] = 8,
    together: Annotated[bool, cyclopts.Parameter(help="All chunks of a job begin together.")] = False,
    jobs: Annotated[int, cyclopts.Parameter(help="The first so many jobs.")] = JOBS_LIMIT,
) -> int:
    """Virtual time: it takes as long as the planner takes to decide."""
    try:
        _checked("width", width, 1, 4_096)
        _checked("jobs", jobs, 1, JOBS_LIMIT)
        there = edges_of(edges)
        header, asked = _read(file, Shape(width, together), jobs)
    except Invalid as error:
        sys.stderr.write(f"traces: {error.message}\n")
        return 2
    found = [
        {"policy": one, "order": who} | figures(asked.tasks, there, replay(asked.tasks, there, Manner(one, who)))
        for one, who in itertools.product(policy, order)
    ]
    show(found)
    result = {
        "trace": str(file),
        "header": header,
        "edges": edges,
        "width": width,
        "together": together,
        "leftOut": asked.left_out,
        "whole": asked.whole,
        "runs": found,
    }
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    return 0


@app.command
def write(name: Annotated[Literal["mixed", "groups"], cyclopts.Parameter(help="Which of them.")]) -> int:
    """Write one of the synthetic traces to the standard output."""
    for line in lines(name):
        sys.stdout.write(line + "\n")
    return 0


def _read(file: Path, shape: Shape, limit: int) -> tuple[dict[str, str], Workload]:
    """Raises `Invalid` also where there is nothing to replay."""
    with opened(file) as read:
        found = workload(read, shape, limit=limit)
    if not found.tasks:
        raise Invalid(f"{file}: has no job that could be replayed, and {found.left_out.total()} other lines")
    return read.header, found


def _checked(flag: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise Invalid(f"--{flag} must be from {least} to {most}, not {value}")


if __name__ == "__main__":
    sys.exit(app())
