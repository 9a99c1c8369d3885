"""Whether a job of a world has failed by its chunks, by an account of the world's own."""

from typing import NamedTuple

from datamodel.ledger import Entry
from datamodel.node import Node
from datamodel.scheduling.jobs import FAILED
from datamodel.state import State
from sim.world.terms import BACKOFF_MAX_S, FAILS_WITH


class Failed(NamedTuple):
    """Chunks that are not tried again, and whether the job has failed by them, or by its budget."""

    for_good: int
    job: bool


def failed(job: Node, state: State, placed: int) -> Failed:
    """Of a job of whose chunks so many have been placed."""
    entries = [entry for index in range(placed) if (entry := state.entries.get((job.uid, index))) is not None]
    for_good = sum(entry.phase == FAILED and is_final(job, entry, state) for entry in entries)
    budget = job.spec.get("retryPolicy", {}).get("budget")
    again = sum(entry.failures - (entry.phase == FAILED) for entry in entries)
    again -= job.status.get("retried", {}).get("failures", 0)
    is_spent = budget is not None and again > budget
    may_fail = job.spec.get("completion", {}).get("maxFailedChunks", 0)
    if "split" in job.status:  # never all of them
        may_fail = min(may_fail, job.status["split"]["chunks"] - 1)
    return Failed(for_good, is_spent or for_good > may_fail)


def is_final(job: Node, entry: Entry, state: State) -> bool:
    """Whether a chunk that has failed is not tried again."""
    attempt = state.nodes.get(entry.holder)
    is_refused = attempt is not None and refuses(attempt) and attempt.spec["retries"] >= job.spec["retries"]
    return bool(is_refused or entry.failures > job.spec["retries"])


def refuses(attempt: Node) -> bool:
    """Whether its exit code says that its chunk is not tried again: all that a world's steps fail with is one code."""
    codes, rules = attempt.status.get("exitCodes", ()), attempt.spec.get("exitCodes", ())
    if attempt.status.get("reason") != "NonZeroExit" or FAILS_WITH not in codes[-1:]:
        return False
    return any(FAILS_WITH in rule.get("codes", ()) and rule["action"] == "fail" for rule in rules)


def rest_s(job: Node) -> float:
    """For how long chunks of it may rest."""
    return BACKOFF_MAX_S if "backoffS" in job.spec.get("retryPolicy", {}) else 0.0
