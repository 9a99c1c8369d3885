"""A world's outcome in a few lines."""

from collections.abc import Iterator

from sim.world.script import Rogue, Submit, Watch, Wish
from sim.world.weather import CALM
from sim.world.world import Outcome

HELD = (
    "no accepted chunk lost, none counted twice, what is counted ran, what ran is settled, epochs and phases only forward, "
    "no reservation above capacity, positions dense, projection = fold of the log, the feed = the log, the past is as it was, "
    "jobs split once and as they may be, callbacks told of what was so, or given up, rogues refused, nothing stood still, "
    "quiet at rest"
)


def told(outcome: Outcome) -> Iterator[str]:
    """The world, what happened in it, and what held or did not."""
    script, counts = outcome.script, outcome.counts
    jobs = [action for action in script.actions if isinstance(action, Submit)]
    faults = [action for action in script.actions if not isinstance(action, Wish | Rogue | Watch)]
    chunks = sum(job.chunks for job in jobs)
    weather = "calm" if script.weather == CALM else "rough"
    yield (
        f"seed {script.seed}: {script.edges} edges of {script.slots} slots, {script.replicas} replicas, {weather} weather; "
        f"{len(jobs)} jobs of {chunks} chunks, {len(faults)} faults"
    )
    kinds = dict.fromkeys(type(action).__name__ for action in faults)
    bitten = ", ".join(f"{kind} {counts[kind]}" for kind in sorted(kinds)) or "none"
    yield (
        f"{outcome.seconds:.0f} s to rest, {counts['steps']} steps; {counts['positions']} positions, kept from "
        f"{counts['oldest']} on, {counts['gone']} readers told so, "
        f"{counts['containers']} containers, {counts['calls']} calls, {counts['refused']} refusals; "
        f"faults that bit: {bitten}; log {outcome.digest[:16]}"
    )
    if outcome.broken:
        yield from (f"BROKEN: {what}" for what in outcome.broken)
    else:
        yield f"held: {HELD}"
