"""How many of a job's chunks are where, as people are told: the ledger's phases under their names, and what its end makes of
those that waited for a new attempt."""

from datamodel.ledger import Totals
from datamodel.node import Node
from datamodel.scheduling.attempts import PLACED, RETRY
from datamodel.scheduling.jobs import ABORT, ABORTED, FAILED, FINISHED, PENDING, RUNNING, SUCCEEDED
from datamodel.scheduling.splitting import chunks_of

RETRYING = "retrying"
STORED = (PLACED, RUNNING, RETRY, SUCCEEDED, FAILED, ABORTED)
"""The phases of a ledger entry."""
SHOWN = (PLACED, RUNNING, RETRYING, SUCCEEDED, FAILED, ABORTED)
"""The phases of a chunk that was placed."""


def is_halted(job: Node) -> bool:
    """Whether what is left of it is to end, for good."""
    return job.spec.get("intent") == ABORT or job.deletion_requested_at is not None


def is_over(job: Node, phase: str) -> bool:
    """Whether in this phase nothing of it is tried again, unless somebody asks for that."""
    return phase in FINISHED or is_halted(job)


def shown_phase(stored: str, *, over: bool) -> str:
    """A chunk's phase. What waits for a new attempt has none that could settle it, so the job's end does."""
    if stored != RETRY:
        return stored
    return ABORTED if over else RETRYING


def stored_phases(shown: str, *, over: bool) -> tuple[str, ...]:
    """The ledger's phases of the chunks that are shown in this one."""
    return tuple(stored for stored in STORED if shown_phase(stored, over=over) == shown)


def chunk_counts(job: Node, phase: str, totals: Totals) -> dict[str, int]:
    """By phase, how many chunks a job has that is in `phase`; `pending` have never been placed."""
    counts: dict[str, int] = {}
    pending = chunks_of(job) - totals.entries
    if pending > 0:  # a job that was split between its reading and theirs has more than it was known to have
        counts[PENDING] = pending
    over = is_over(job, phase)
    for stored, count in sorted(totals.phases.items()):
        shown = shown_phase(stored, over=over)
        counts[shown] = counts.get(shown, 0) + count
    return counts
