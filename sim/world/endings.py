"""Whether the jobs of a world have ended as what they say of their failures and their time lets them."""

from collections import Counter
from collections.abc import Iterator

from msgspec.structs import replace

from datamodel.ledger import Entry
from datamodel.node import Node
from datamodel.scheduling.attempts import RETRY
from datamodel.scheduling.jobs import FAILED, SUCCEEDED
from datamodel.state import State
from sim.world.script import Submit
from sim.world.splits import number_of
from sim.world.terms import NEVER, NO_TERMS, Terms


def wrong(job: Node, wish: Submit, retries: int, state: State) -> Iterator[str]:
    """What does not hold of a job that has succeeded or failed, with so many retries."""
    wish = replace(wish, chunks=number_of(job))
    terms = wish.terms or NO_TERMS
    reason = next((one["reason"] for one in job.status["conditions"] if one["type"] == "Complete"), "")
    if job.phase == FAILED and reason not in _reasons(wish, terms, retries):
        yield f"{wish.job} has failed by {reason}: {wish}, {job.status}"
    counts: Counter[str] = Counter(job.status.get("chunks", {}))
    succeeded, failed = counts[SUCCEEDED], counts[FAILED]
    if job.phase == SUCCEEDED:
        is_whole = succeeded + failed == wish.chunks and failed <= min(terms.may_fail, wish.chunks - 1)
        if not is_whole and not (terms.enough and succeeded >= min(terms.enough, wish.chunks)):
            yield f"{wish.job} has succeeded, and its chunks are {counts}: {wish}"
        outputs = job.status.get("outputs", {})
        chunks = outputs.get("chunk", [])
        if (
            outputs.get("ran") != succeeded
            or len(chunks) != succeeded
            or chunks != sorted({*range(wish.chunks)} & {*chunks})
        ):
            yield f"{wish.job} has {wish.chunks} chunks, {succeeded} have succeeded, and it counted {outputs}"
    entries = [entry for (owner, _), entry in state.entries.items() if owner == job.uid]
    if terms.budget is not None and "retried" not in job.status and _placed_again(entries, state) > terms.budget:
        yield f"{wish.job} has tried more failures again than its {terms.budget}: {entries}"


def _placed_again(entries: list[Entry], state: State) -> int:
    """How many failures were followed by another attempt: not those at which an entry stands."""
    stand = sum(_stands_at_failure(entry, state) for entry in entries)
    return sum(entry.failures for entry in entries) - stand


def _stands_at_failure(entry: Entry, state: State) -> bool:
    holder = state.nodes.get(entry.holder)
    return entry.phase == FAILED or (entry.phase == RETRY and holder is not None and holder.phase == FAILED)


def _reasons(wish: Submit, terms: Terms, retries: int) -> set[str]:
    """With which it may have failed. Whose limit counts by the clock may fail by any trouble."""
    by_clock = wish.fails_by == "time"
    is_ignored = terms.rule == "ignore" and wish.fails_by == "exit"
    fails = 0 if is_ignored else wish.fails
    failing = min(wish.failing or wish.chunks, wish.chunks) if not by_clock else wish.chunks
    is_final = fails > retries or by_clock or (terms.rule == "fail" and fails > 0)
    return {
        *(["Failed"] if wish.after else []),  # one of those may have failed
        *(["Failed", "TooManyChunksFailed"] if is_final and failing > min(terms.may_fail, wish.chunks - 1) else []),
        *(["RetryBudgetSpent"] if terms.budget is not None and (failing * fails > terms.budget or by_clock) else []),
        *(["DeadlineExceeded"] if terms.job_s else []),
        *(["QueueDeadlineExceeded"] if terms.queue_s else []),
    }


def must_fail(wish: Submit) -> bool:
    """Whether it cannot have succeeded."""
    return wish.terms is not None and (wish.terms.hopeless or (wish.terms.job_s > 0 and wish.fails >= NEVER))
