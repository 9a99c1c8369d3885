"""The figures of replays as a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

COLUMNS = {
    "policy": "policy",
    "order": "order",
    "cpuPercent": "cpu %",
    "memoryPercent": "memory %",
    "ofBoundPercent": "of the bound %",
    "ofBoundBusyPercent": "until the last start %",
    "makespanS": "makespan s",
    "waitMeanS": "mean wait s",
    "waitP95S": "p95 wait s",
    "slowdownMean": "slowdown",
    "slowdownP95": "p95",
    "jain": "Jain",
    "unfairPercent": "unfair %",
}
"""What the columns are called, by figure."""


def show(runs: Sequence[Mapping[str, Any]]) -> None:
    """A line for each run."""
    table = Table(*COLUMNS.values(), title="replayed")
    for run in runs:
        table.add_row(*(str(run.get(name, "")) for name in COLUMNS))
    Console(width=140).print(table)
