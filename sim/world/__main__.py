"""`python -m sim.world`: runs the worlds of seeds, or of a script. Exits with 1 where something did not hold."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from datamodel.errors import Invalid
from datamodel.program import calm_collector
from sim.world.author import script_of
from sim.world.file import read, written
from sim.world.report import told
from sim.world.run import run
from sim.world.script import Script
from sim.world.shrink import shrunk
from sim.world.world import Outcome

app = App(name="world", help="Whole systems on virtual time, harmed as a seed says; the same seed is the same world.")
AT_ONCE = 8
"""Worlds that a worker process gets at a time."""


@app.default
def worlds(
    *,
    seed: Annotated[int, Parameter(help="The first seed.")] = 1,
    count: Annotated[int, Parameter(help="How many seeds.", validator=Number(gte=1))] = 1,
    script: Annotated[Path | None, Parameter(help="A script to run in place of a seed's.")] = None,
    workers: Annotated[int, Parameter(help="Processes.", validator=Number(gte=1))] = os.cpu_count() or 1,
    log: Annotated[bool, Parameter(help="Prints what the programs log.")] = False,
) -> int:
    """Runs worlds, and makes a short script of the first that breaks."""
    if count > 1:
        return _many(range(seed, seed + count), workers)
    try:
        return _one(read(script.read_text(encoding="utf-8")) if script is not None else script_of(seed), log=log)
    except (OSError, Invalid) as error:
        sys.stderr.write(f"world: {error}\n")
        return 2


def outcomes(seeds: Iterable[int], workers: int) -> Iterator[Outcome]:
    """What became of the seeds' worlds, in order."""
    if workers == 1:
        yield from map(_run_seed, seeds)
        return
    with ProcessPoolExecutor(workers, initializer=calm_collector) as pool:
        yield from pool.map(_run_seed, seeds, chunksize=AT_ONCE)


def _run_seed(seed: int) -> Outcome:
    return run(script_of(seed))


def _one(script: Script, *, log: bool) -> int:
    lines: list[str] | None = [] if log else None
    outcome = run(script, lines=lines)
    for line in (*(lines or ()), *told(outcome)):
        sys.stdout.write(f"{line}\n")
    return _shown(outcome) if outcome.broken else 0


def _many(seeds: range, workers: int) -> int:
    steps = positions = 0
    began_s = time.perf_counter()
    for outcome in outcomes(seeds, workers):
        steps += outcome.counts["steps"]
        positions += outcome.counts["positions"]
        if outcome.broken:
            for line in told(outcome):
                sys.stdout.write(f"{line}\n")
            return _shown(outcome)
    took = f"{positions} positions, {steps} steps, {time.perf_counter() - began_s:.0f} s"
    sys.stdout.write(f"seeds {seeds[0]} to {seeds[-1]}: all held; {took}\n")
    return 0


def _shown(outcome: Outcome) -> int:
    """Prints a short script that breaks too."""
    sys.stdout.write("shrinking; the shortest script that breaks:\n")
    sys.stdout.write(written(shrunk(outcome.script, lambda script: bool(run(script).broken))))
    return 1


if __name__ == "__main__":
    sys.exit(app())
