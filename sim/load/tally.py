"""What is counted of a phase."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sim.load.arrivals import Phase
from sim.load.latencies import Latencies

MOMENTS = ("sent", "accepted", "running", "finished")
"""What each job's latencies lead to, from its intended time. `sent` is the generator's own delay: where that is not small,
the machine was too busy to generate the load, and the others are long for that reason too."""


@dataclass(slots=True)
class Tally:
    """One phase. Every arrival is dropped, refused, or accepted; every accepted job succeeds, fails, or is unfinished when
    the run ends."""

    phase: Phase
    arrived: int = 0
    dropped: int = 0
    """Arrivals beyond the bound on what is outstanding: never sent."""
    refused: int = 0
    """Jobs that no try could submit."""
    accepted: int = 0
    succeeded: int = 0
    failed: int = 0
    """Jobs that ended otherwise, or went before their end was seen."""
    unfinished: int = 0
    """Jobs whose end was not seen. They count in the latencies with the time that they had taken so far: a system that
    stopped must not look quick."""
    retries: int = 0
    """Requests that were sent again, with the idempotency key of the first."""
    unseen_running: int = 0
    """Jobs that were not seen running before they were seen finished, or at all: they count as running since then."""
    errors: Counter[str] = field(default_factory=Counter)
    """Answers that were no success, by request and HTTP status, and requests without an answer."""
    latencies: dict[str, Latencies] = field(default_factory=lambda: {moment: Latencies() for moment in MOMENTS})

    @property
    def finished(self) -> int:
        return self.succeeded + self.failed

    def result(self, window_s: float) -> dict[str, Any]:
        """The figures as a document; times are milliseconds from each job's intended time."""
        return {
            "phase": self.phase.name,
            "counted": self.phase.counted,
            "ratePerS": self.phase.rate,
            "seconds": self.phase.seconds,
            "arrived": self.arrived,
            "dropped": self.dropped,
            "refused": self.refused,
            "accepted": self.accepted,
            "succeeded": self.succeeded,
            "failed": self.failed,
            "unfinished": self.unfinished,
            "retries": self.retries,
            "unseenRunning": self.unseen_running,
            "errors": dict(sorted(self.errors.items())),
            "latencyMs": {moment: found.summary() for moment, found in self.latencies.items()},
            "windows": self._windows(window_s),
        }

    def _windows(self, width_s: float) -> list[dict[str, Any]]:
        found = {moment: latencies.windows(width_s) for moment, latencies in self.latencies.items()}
        numbers = sorted({number for windows in found.values() for number in windows})
        return [
            {
                "fromS": number * width_s,
                **{moment: windows[number] for moment, windows in found.items() if number in windows},
            }
            for number in numbers
        ]
