"""The judge of chunks: a second account of what `attempts.py` says, for the audit, which trusts neither."""

from datamodel.books.ledger import LedgerBook, Owner, Piece
from datamodel.books.living import Living
from datamodel.kinds import Claim
from datamodel.scheduling.attempts import ABANDON, INTERRUPTED, PLACED, RETRY, STOP, STOPPED
from datamodel.scheduling.jobs import ABORTED, FAILED, RUNNING, SUCCEEDED

_FINAL = (SUCCEEDED, FAILED, ABORTED)
_WHOLE = 1000
"""The progress of a chunk that is done, in per mille."""


class ChunkJudge:
    """Keeps the chunks of all living jobs in a book."""

    def __init__(self, book: LedgerBook) -> None:
        self._book = book

    def begin(self, claim: Claim, attempt: Living, found: list[str]) -> None:
        """A new attempt: the next chunk's first, or the next one at a chunk that waits for it."""
        self.check_names(claim, attempt, found)
        if attempt.spec.get("adopted"):
            found.append("it is adopted, and has only just been made")
        owner = self._book.owner(claim.owner)
        chunk = owner.pieces.get(claim.index) if owner is not None else None
        if owner is None or chunk is None:
            placed = len(owner.pieces) if owner is not None else 0
            if claim.index != placed:
                found.append(f"chunk {claim.index} is placed, and the next one is {placed}")
            if claim.epoch != 1:
                found.append(f"the chunk's first epoch is {claim.epoch}")
            self._book.put(claim.owner, claim.index, Piece(claim.epoch, attempt.path, PLACED))
            self._check_count(claim, attempt, found)
            return
        self._check_count(claim, attempt, found)
        retries = attempt.spec["retries"]
        if chunk.phase == SUCCEEDED or (chunk.phase == FAILED and chunk.failures > retries):
            found.append(f"the chunk is counted as {chunk.phase}, after {chunk.failures} failures of {retries} retried")
        elif chunk.phase in (PLACED, RUNNING):
            found.append(f"{chunk.holder} has neither ended nor been given up")
        if claim.epoch != chunk.epoch + 1:
            found.append(f"epoch {claim.epoch} follows {chunk.epoch}")
        chunk.epoch, chunk.holder = claim.epoch, attempt.path
        self._book.move(owner, chunk, PLACED, 0)

    def _check_count(self, claim: Claim, attempt: Living, found: list[str]) -> None:
        """All attempts at a job's chunks say the same of how many there are."""
        owner, count = self._book.owner(claim.owner), attempt.spec["count"]
        if owner is not None and owner.count not in (0, count):
            found.append(f"its job has {owner.count} chunks, and it is one of {count}")
        elif owner is not None:
            owner.count = count

    def check_names(self, claim: Claim, attempt: Living, found: list[str]) -> None:
        """What the edge reads of an attempt is what its name claims."""
        index, count = attempt.spec["index"], attempt.spec["count"]
        if index != claim.index or not index < count:
            found.append(f"its name claims chunk {claim.index}, its spec says {index} of {count}")

    def follow(self, claim: Claim, attempt: Living, found: list[str]) -> None:
        """An attempt that had not ended has changed, in spec or status. Only the chunk's newest one counts."""
        owner = self._book.owner(claim.owner)
        chunk = owner.pieces.get(claim.index) if owner is not None else None
        is_open = chunk is not None and chunk.phase not in _FINAL
        counts = is_open and chunk is not None and chunk.epoch == claim.epoch
        if is_open and chunk is not None and chunk.epoch > claim.epoch and _comes_first(attempt):
            counts, chunk.holder = True, attempt.path
        if attempt.spec.get("adopted"):
            found.append("it is adopted, and had not ended")
        if attempt.ended:
            due = "orphaned" if owner is None else "counted" if counts else "superseded"
            told = attempt.status.get("settlement", "")
            if told != due:
                found.append(f"its end is {due}, and it says {told or 'nothing'}")
        if owner is not None and chunk is not None and counts:
            self._settle(owner, chunk, attempt)

    def revise(self, claim: Claim, attempt: Living, found: list[str]) -> None:
        """One that had ended has another spec: somebody has adopted its result, or nothing is another by that. What was adopted
        is its chunk's from then on."""
        owner = self._book.owner(claim.owner)
        chunk = owner.pieces.get(claim.index) if owner is not None else None
        if not attempt.spec.get("adopted") or (chunk is not None and chunk.holder == attempt.path):
            return
        if owner is None or chunk is None:
            found.append("it is adopted, and its job is gone")
            return
        if attempt.status.get("phase") != SUCCEEDED or attempt.status.get("settlement") != "superseded":
            found.append("it is adopted, and has no result that was kept")
        if chunk.phase == SUCCEEDED or chunk.epoch <= claim.epoch:
            found.append(f"it is adopted, and its chunk is {chunk.phase} in epoch {chunk.epoch}")
        chunk.holder = attempt.path
        self._settle(owner, chunk, attempt)

    def _settle(self, owner: Owner, chunk: Piece, attempt: Living) -> None:
        intent, status = attempt.spec["intent"], attempt.status
        phase = status.get("phase", "")
        if phase == SUCCEEDED:
            chunk.outputs = status.get("outputs")
            self._book.move(owner, chunk, SUCCEEDED, _WHOLE)
        elif phase == FAILED:
            chunk.failures += 1
            again = chunk.failures <= attempt.spec["retries"] and not _gives_up(attempt)
            self._book.move(owner, chunk, RETRY if again else FAILED, 0)
        elif phase == STOPPED and intent == STOP:
            self._book.move(owner, chunk, ABORTED, 0)
        elif phase in (INTERRUPTED, STOPPED, "abandoned") or (intent == ABANDON and not _may_run(attempt)):
            self._book.move(owner, chunk, RETRY, 0)
        elif phase == RUNNING:
            self._book.move(owner, chunk, RUNNING, int(status.get("percent", 0) * 10))
        else:
            self._book.move(owner, chunk, PLACED, 0)


def _may_run(attempt: Living) -> bool:
    """Whether its lease is not known to be over: no other may run before."""
    return "leaseS" in attempt.spec and attempt.spec.get("intentReason") != "LeaseOver"


def _comes_first(attempt: Living) -> bool:
    """Whether it has succeeded, though its chunk went elsewhere since its edge was not heard from: then that counts, if nothing
    was counted by then."""
    if "leaseS" in attempt.spec:
        return False
    return attempt.status.get("phase") == SUCCEEDED and attempt.spec.get("intentReason") in ("EdgeLost", "EdgeCutOff")


def _gives_up(attempt: Living) -> bool:
    """Whether the first rule that knows the exit code of the step that failed says that the chunk has."""
    code = (attempt.status.get("exitCodes") or [0])[-1]
    if attempt.status.get("reason") != "NonZeroExit":
        return False
    for rule in attempt.spec.get("exitCodes") or ():
        known = set(rule.get("codes") or ())
        for some in rule.get("ranges") or ():
            known.update(range(some["first"], some["last"] + 1))
        if code in known:
            return bool(rule["action"] == "fail")
    return False
