"""The result of a soak as one page of HTML that needs nothing else."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from sim.load.tally import MOMENTS
from sim.soak.chart import chart

_STYLE = """
body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem; color: #1c2530; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 2rem; }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #d9dee4; vertical-align: middle; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
polyline { fill: none; stroke: #2563a8; stroke-width: 1.2; }
line.half { stroke: #b5bec8; stroke-dasharray: 3 3; }
.growing { color: #b3261e; font-weight: 600; } .flat { color: #1b6e3c; } .short, .why { color: #68737f; }
"""
_JUDGED = (
    "<p>Judged is the second half, right of the dashed line. A series grows where the lower end of its slope's confidence "
    "interval and twice the rise of its lows are both above what is tolerated: an amount an hour, and a share of the level an "
    "hour. A series with too few samples is short.</p>"
)
_ORDER = {"growing": 0, "flat": 1, "short": 2, "not judged": 3}


def report(result: Mapping[str, Any]) -> str:
    """The page: the verdict, what is the matter, the load's latencies, and every series with its chart."""
    problems, notes = result["problems"], result["notes"]
    heading = "Something is the matter" if problems else "Nothing grows that must be flat"
    return "".join(
        (
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>Tendril soak</title>',
            f"<style>{_STYLE}</style><h1>{heading}</h1>",
            f"<p>{escape(_what(result))}</p>",
            _list(problems, "growing"),
            _list(notes, "why"),
            "<h2>Load</h2>",
            "<p>Milliseconds from the moment at which each job was meant to be sent.</p>",
            _load(result["load"]),
            "<h2>Series</h2>",
            _JUDGED,
            _series(sorted(result["series"], key=lambda series: (_ORDER[series["verdict"]], series["name"]))),
            "</html>\n",
        )
    )


def _what(result: Mapping[str, Any]) -> str:
    machine = result["machine"]
    return (
        f"{result['began']}: {result['minutes']:g} minutes at {result['ratePerS']:g} jobs/s, after a warm-up of "
        f"{result['warmupMinutes']:g} minutes at {result['warmupRatePerS']:g} jobs/s; seed {result['seed']}; "
        f"{machine['cores']} cores, {machine['memoryBytes'] / 2**30:.0f} GiB, Python {machine['python']}, "
        f"Tendril {machine['tendril']}."
    )


def _list(lines: Iterable[str], kind: str) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<ul class="{kind}">{items}</ul>' if items else ""


def _load(phases: Iterable[Mapping[str, Any]]) -> str:
    counts = ("arrived", "dropped", "refused", "succeeded", "failed", "unfinished", "retries")
    points = ("p50", "p90", "p99", "p99.9", "max")
    rows = [_row("th", ["phase", *counts, "", *points])]
    for phase in phases:
        told = [phase["phase"], *(phase[count] for count in counts)]
        for moment in MOMENTS:
            found = phase["latencyMs"][moment]
            rows.append(_row("td", [*told, f"to {moment}", *(found.get(point, "") for point in points)]))
            told = [""] * len(told)
        if phase["errors"]:
            errors = ", ".join(f"{name} ({times})" for name, times in phase["errors"].items())
            rows.append(f'<tr><td colspan="14">errors: {escape(errors)}</td></tr>')
    return f"<table>{''.join(rows)}</table>"


def _row(cell: str, values: Iterable[Any]) -> str:
    cells = (f"<{cell}{'' if isinstance(value, str) else ' class=n'}>{escape(str(value))}</{cell}>" for value in values)
    return f"<tr>{''.join(cells)}</tr>"


def _series(all_series: Iterable[Mapping[str, Any]]) -> str:
    rows = [_row("th", ["series", "verdict", "", "level", "an hour", "surely", "tolerated"])]
    for series in all_series:
        verdict, unit = series["verdict"], series["unit"]
        why = f'<br><span class="why">{escape(series["why"])}</span>' if series["why"] else ""
        rows.append(
            f"<tr><td>{escape(series['name'])}{why}</td>"
            f'<td class="{verdict.split()[0]}">{verdict}</td>'
            f"<td>{chart(series['timesS'], series['values'], series['name'])}</td>"
            f"<td class=n>{_figure(series['level'], unit)}</td><td class=n>{_figure(series['slopePerHour'], unit)}</td>"
            f"<td class=n>{_figure(series['leastSlopePerHour'], unit)}</td><td class=n>{_tolerated(series)}</td></tr>"
        )
    return f"<table>{''.join(rows)}</table>"


def _figure(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:,.4g} {escape(unit)}".strip()


def _tolerated(series: Mapping[str, Any]) -> str:
    if series["toleratedPerHour"] is None:
        return ""
    return f"{_figure(series['toleratedPerHour'], series['unit'])} or {series['toleratedShare']:.0%}"
