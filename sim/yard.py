"""What the planner plans with, outside of the reconciler that keeps it from a store."""

from typing import NamedTuple

from reconcilers.planning.backlog import Backlog, Chunk
from reconcilers.planning.decisions import Plan
from reconcilers.planning.fleet import Fleet
from reconcilers.planning.usage import Held, Usage


class Yard(NamedTuple):
    """What waits, what is free, and what is held."""

    backlog: Backlog
    fleet: Fleet
    usage: Usage

    def carry_out(self, found: Plan) -> None:
        """What was decided is so now. That the fleet has less room, the plan has seen to."""
        by_job: dict[str, list[Chunk]] = {}
        for decision in found.decisions:
            by_job.setdefault(decision.job.path, []).append(decision.chunk)
            self.usage.add(
                decision.attempt, Held(decision.job.path, decision.edge, decision.job.signature, decision.job.priority)
            )
        for path, chunks in by_job.items():
            job = self.backlog.get(path)
            if job is not None:
                self.backlog.put(job.without(chunks))
        self.fleet.know_barren(found.barren)
        for asker, left in found.served.items():
            self.fleet.forget(asker, left)
