"""The running line: how the load goes, once a second."""

import asyncio
import sys
from collections.abc import Callable

from sim.load.generator import Generator

EVERY_S = 1.0


async def keep_telling(line: Callable[[], str]) -> None:
    """Until it is cancelled. On a terminal one line that moves; elsewhere a line each time."""
    moves = sys.stderr.isatty()
    try:
        while True:
            await asyncio.sleep(EVERY_S)
            sys.stderr.write(f"\r\x1b[K{line()}" if moves else f"{line()}\n")
            sys.stderr.flush()
    finally:
        if moves:
            sys.stderr.write("\n")


def load_line(generator: Generator) -> str:
    """Of all phases together; the latencies are of the last phase that has any."""
    tallies = generator.tallies
    last = next((tally for tally in reversed(tallies) if len(tally.latencies["running"])), tallies[0])
    running, finished = (last.latencies[moment].recent() for moment in ("running", "finished"))
    return (
        f"{generator.elapsed_s:6.0f} s  arrived {sum(tally.arrived for tally in tallies)}"
        f"  dropped {sum(tally.dropped for tally in tallies)}  outstanding {generator.outstanding}"
        f"  finished {sum(tally.finished for tally in tallies)}  kept {generator.kept}"
        f"  errors {sum(tally.errors.total() for tally in tallies)}"
        f"  to running p50 {running.get('p50', 0):.0f} p99 {running.get('p99', 0):.0f} ms"
        f"  to finished p50 {finished.get('p50', 0):.0f} ms"
    )
