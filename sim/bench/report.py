"""Figures: how they are summed up and shown."""

import platform
import statistics
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table


def latencies(seconds: Sequence[float]) -> dict[str, float]:
    """Milliseconds at the usual points of the distribution."""
    ordered = sorted(seconds)
    count = len(ordered)
    return {
        "p50": round(ordered[count // 2] * 1000, 2),
        "p99": round(ordered[min(count - 1, int(count * 0.99))] * 1000, 2),
        "max": round(ordered[-1] * 1000, 2),
        "count": count,
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """The median of some rounds, with the least and the most."""
    return {"p50": round(statistics.median(values), 2), "least": round(min(values), 2), "most": round(max(values), 2)}


def rotated(names: Sequence[str], number: int) -> Sequence[str]:
    """The order of those that take turns in a round: each is first, and behind each other, as often."""
    first = number % len(names)
    return [*names[first:], *names[:first]]


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "cores": psutil.cpu_count(),
        "memoryBytes": psutil.virtual_memory().total,
        "python": platform.python_version(),
        "system": platform.system(),
        "tendril": version("tendril"),
    }


def show(figures: Mapping[str, Mapping[str, Any]]) -> None:
    """The figures as a table."""
    table = Table("measured", "figure", "value", title="tendril bench")
    for name, values in figures.items():
        for figure, value in values.items():
            table.add_row(name, figure, str(value))
    Console(width=100).print(table)
