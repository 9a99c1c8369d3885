"""`make load` and `python -m sim.load`: puts an open-loop load on a running system; one JSON object is the last line."""

import asyncio
import sys
from typing import Annotated

import cyclopts
import msgspec
import uvloop

from datamodel.errors import Invalid, TendrilError
from gateway.address import DEFAULT_URL
from sim.bench.report import machine
from sim.load.arrivals import Phase, Process
from sim.load.gateway import Gateway
from sim.load.generator import Generator, Plan
from sim.load.line import keep_telling, load_line

ARRIVALS_LIMIT = 5_000_000
"""Of one run: its samples take 64 bytes each."""
OUTSTANDING_LIMIT = 10_000
"""Each has a connection."""

app = cyclopts.App(name="load", help="Put an open-loop load on a running system.")


@app.default
def load(
    *,
    url: Annotated[str, cyclopts.Parameter(help="The gateway.")] = DEFAULT_URL,
    rate: Annotated[tuple[float, ...], cyclopts.Parameter(help="Jobs a second; several are phases.")] = (20.0,),
    seconds: Annotated[float, cyclopts.Parameter(help="How long each phase lasts.")] = 60.0,
    warmup: Annotated[float, cyclopts.Parameter(help="Seconds at the first rate before, not counted.")] = 5.0,
    arrivals: Annotated[Process, cyclopts.Parameter(help="How jobs arrive.")] = "poisson",
    seed: Annotated[int, cyclopts.Parameter(help="Of the arrivals and the sizes.")] = 1,
    chunk_ws: Annotated[float, cyclopts.Parameter(help="Mean work of a chunk in watt-seconds.")] = 0.2,
    outstanding: Annotated[int, cyclopts.Parameter(help="Unfinished jobs beyond which arrivals are dropped.")] = 500,
    keep: Annotated[float, cyclopts.Parameter(help="Seconds after which finished jobs are deleted.")] = 10.0,
    window: Annotated[float, cyclopts.Parameter(help="Seconds of a window of latencies.")] = 10.0,
) -> int:
    """Exits with 1 where a job that was accepted did not succeed, or one was refused; dropped arrivals are a result."""
    try:
        _checked("window", window, 1, 86_400)
        plan = Plan(
            phases=_phases(rate, seconds, warmup),
            process=arrivals,
            seed=seed,
            mean_chunk_ws=_checked("chunk-ws", chunk_ws, 0, 1e9),
            outstanding_limit=int(_checked("outstanding", outstanding, 1, OUTSTANDING_LIMIT)),
            keep_s=_checked("keep", keep, 0, 3600),
        )
        generator = uvloop.run(_run(url, plan))
    except KeyboardInterrupt:
        return 130
    except TendrilError as error:
        sys.stderr.write(f"load: {error.field + ': ' if error.field else ''}{error.message}\n")
        return 2 if isinstance(error, Invalid) else 1
    result = {
        "url": url,
        "arrivals": arrivals,
        "seed": seed,
        "windowS": window,
        "phases": [tally.result(window) for tally in generator.tallies],
        "machine": machine(),
    }
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    return 1 if any(tally.failed + tally.unfinished + tally.refused for tally in generator.tallies) else 0


def _phases(rates: tuple[float, ...], seconds: float, warmup_s: float) -> tuple[Phase, ...]:
    """Raises `Invalid` naming the flag."""
    for rate in rates:
        _checked("rate", rate, 0.01, 10_000)
    _checked("seconds", seconds, 1, 7 * 86_400)
    _checked("warmup", warmup_s, 0, 86_400)
    if sum(rates) * seconds + rates[0] * warmup_s > ARRIVALS_LIMIT:
        raise Invalid(f"a run has at most {ARRIVALS_LIMIT} arrivals", field="rate")
    warming = (Phase("warm-up", rates[0], warmup_s, counted=False),) if warmup_s else ()
    return (*warming, *(Phase(f"{rate:g}/s", rate, seconds) for rate in rates))


def _checked(flag: str, value: float, least: float, most: float) -> float:
    if not least <= value <= most:
        raise Invalid(f"must be from {least:g} to {most:g}, not {value:g}", field=f"--{flag}")
    return value


async def _run(url: str, plan: Plan) -> Generator:
    gateway = Gateway(url)
    try:
        await gateway.make_group()
        generator = Generator(plan, gateway)
        telling = asyncio.create_task(keep_telling(lambda: load_line(generator)))
        try:
            await generator.run()
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
    finally:
        gateway.close()
    return generator


if __name__ == "__main__":
    sys.exit(app())
