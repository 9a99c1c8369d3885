"""`make soak` and `python -m sim.soak`: whether anything grows that must be flat."""

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import cyclopts
import msgspec
import uvloop

from datamodel.errors import Invalid, TendrilError
from sim.soak.report import report
from sim.soak.soak import Terms, soak
from sim.soak.system import own_system, running_system

app = cyclopts.App(name="soak", help="Load a system for long, and see whether anything grows that must be flat.")


@app.default
def main(
    *,
    minutes: Annotated[float, cyclopts.Parameter(help="How long; the second half is judged.")] = 60.0,
    rate: Annotated[float, cyclopts.Parameter(help="Jobs a second.")] = 20.0,
    warmup_minutes: Annotated[float, cyclopts.Parameter(help="Load before, which is not judged.")] = 2.0,
    warmup_rate: Annotated[float | None, cyclopts.Parameter(help="Its jobs a second; else as the rate.")] = None,
    every: Annotated[float, cyclopts.Parameter(help="Seconds between samples.")] = 5.0,
    edges: Annotated[int, cyclopts.Parameter(help="Simulated edges of a system of its own.")] = 20,
    home: Annotated[Path | None, cyclopts.Parameter(help="Soak the system that `make up` runs there instead.")] = None,
    seed: Annotated[int, cyclopts.Parameter(help="Of the arrivals and the sizes.")] = 1,
    directory: Annotated[Path | None, cyclopts.Parameter(help="For the results; else one under .tendril/soak.")] = None,
) -> int:
    """Exits with 1 where something grows, a program ended, or a job did not succeed."""
    terms = Terms(minutes, warmup_minutes, rate, warmup_rate or rate, every, seed)
    try:
        _check(terms)
        result = uvloop.run(_soak(terms, edges, home))
    except KeyboardInterrupt:
        return 130
    except TendrilError as error:
        sys.stderr.write(f"soak: {error.field + ': ' if error.field else ''}{error.message}\n")
        return 2 if isinstance(error, Invalid) else 1
    written = directory or Path(".tendril/soak") / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    _write(result, written)
    _say(result, written)
    return 1 if result["problems"] else 0


async def _soak(terms: Terms, edges: int, home: Path | None) -> dict[str, Any]:
    async with nullcontext(running_system(home)) if home is not None else own_system(edges) as system:
        return await soak(system, terms)


def _check(terms: Terms) -> None:
    """Raises `Invalid` naming the flag."""
    bounds = {
        "minutes": (terms.minutes, 0.1, 10_080),
        "warmup-minutes": (terms.warmup_minutes, 0, 1_440),
        "rate": (terms.rate, 0.1, 1_000),
        "warmup-rate": (terms.warmup_rate, 0.1, 1_000),
        "every": (terms.every_s, 1, 600),
    }
    for flag, (value, least, most) in bounds.items():
        if not least <= value <= most:
            raise Invalid(f"must be from {least:g} to {most:g}, not {value:g}", field=f"--{flag}")


def _write(result: Mapping[str, Any], directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "result.json").write_bytes(msgspec.json.encode(result))
    (directory / "report.html").write_text(report(result), encoding="utf-8")


def _say(result: Mapping[str, Any], directory: Path) -> None:
    for series in result["series"]:
        if series["verdict"] != "not judged":
            told = "" if series["level"] is None else f"{series['level']:.4g} {series['unit']}, "
            slope = "" if series["level"] is None else f"{series['slopePerHour']:+.4g} an hour"
            sys.stdout.write(f"{series['verdict']:8} {series['name']}: {told}{slope}\n")
    for line in (*result["notes"], *result["problems"]):
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{directory / 'report.html'}\n")


if __name__ == "__main__":
    sys.exit(app())
