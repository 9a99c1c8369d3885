"""What a run tells: tables for people, and one line of JSON."""

import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from sim.chaos.checker import RULES
from sim.chaos.run import OWN_RULES, Run

WIDTH = 150
VIOLATIONS_SHOWN = 20


def summed_up(run: Run, seed: int) -> dict[str, Any]:
    """The whole of a run as one document."""
    faults: dict[str, dict[str, Any]] = {}
    for name in sorted({injection.fault for injection in run.injections}):
        found = [injection for injection in run.injections if injection.fault == name]
        recoveries_s = [injection.recovery_s for injection in found if injection.recovery_s is not None]
        faults[name] = {
            "times": len(found),
            "bitten": sum(injection.bitten for injection in found),
            "recovered": len(recoveries_s),
            "longestRecoveryS": round(max(recoveries_s), 1) if recoveries_s else None,
            "shown": found[-1].shown,
        }
    violated = Counter(violation.check for violation in run.violations)
    return {
        "seed": seed,
        "faults": faults,
        "violatedTimes": {rule: violated[rule] for rule in (*RULES, *OWN_RULES)},
        "violations": [f"{violation.check}: {violation.message}" for violation in run.violations[:VIOLATIONS_SHOWN]],
        "figures": run.figures,
    }


def show(summary: Mapping[str, Any]) -> None:
    """Prints the tables, then the document in a line."""
    console = Console(width=WIDTH)
    faults = Table("fault", "times", "bitten", "recovered", "longest recovery", "shown by", title="tendril chaos")
    for name, fault in summary["faults"].items():
        longest_s = fault["longestRecoveryS"]
        counts = (str(fault[count]) for count in ("times", "bitten", "recovered"))
        faults.add_row(name, *counts, "" if longest_s is None else f"{longest_s} s", fault["shown"])
    held = Table("what must hold", "held", title="")
    for rule, times in summary["violatedTimes"].items():
        held.add_row(rule, "yes" if not times else f"violated {times} times")
    console.print(faults, held)
    console.print(", ".join(f"{name} {value}" for name, value in summary["figures"].items()), soft_wrap=True)
    for violation in summary["violations"]:
        console.print(f"VIOLATION {violation}", soft_wrap=True, markup=False)
    sys.stdout.write(f"{msgspec.json.encode(summary).decode()}\n")
