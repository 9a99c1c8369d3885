"""Counters of what the reconcilers did, for the log and whoever looks."""

from collections import Counter


class Metrics:
    """Counts by (reconciler, outcome)."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def count(self, reconciler: str, outcome: str, amount: int = 1) -> None:
        self.counts[reconciler, outcome] += amount
