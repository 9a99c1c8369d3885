"""Edges that are cut off, seen in every event: nobody's chunk goes elsewhere sooner than its job says, and of all attempts at a
chunk one success counts."""

from collections import Counter
from collections.abc import Callable

from datamodel.event import Event
from datamodel.kinds import Claim
from datamodel.node import Node
from datamodel.scheduling.attempts import ABANDONED, PLACED, claim_of
from datamodel.scheduling.edges import DISCONNECTED, LOST, ONLINE, inventory_path, place_of
from datamodel.scheduling.giving_up import EDGE_CUT_OFF, LEASE_OVER
from datamodel.scheduling.jobs import RUNNING, SUCCEEDED
from datamodel.scheduling.service import config_path
from datamodel.state import State

LATE_S = 20.0
"""How late it may be written that an edge is cut off, after somebody saw that it is."""


class Cutoffs:
    """Complains, by a sentence to `complain`."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        self._complain = complain
        self._cut_s: dict[str, float] = {}
        """By the path of an edge, when it was cut off last."""
        self._heard: dict[str, int] = {}
        """By the path of an edge, the position at which it came to be online last."""
        self._counted: dict[tuple[str, int], str] = {}
        """By chunk, the path of the attempt whose success was counted, or adopted."""
        self._reasons: dict[str, str] = {}
        self.counts = Counter[str]()
        """What was seen: attempts that were replaced, abandoned or adopted, and results that came first nevertheless."""

    def restored(self) -> None:
        """The database was put back: what was seen may not have happened."""
        self._cut_s.clear()
        self._heard.clear()
        self._counted.clear()
        self._reasons.clear()

    def appended(self, event: Event, state: State, now_s: float) -> None:
        if event.kind == "Edge" and event.op == "statusChanged":
            self._judged(event, state, now_s)
        attempt = state.nodes.get(event.path) if event.kind == "Attempt" else None
        claim = claim_of(event.path) if attempt is not None else None
        if attempt is None or claim is None:
            return
        if event.op == "specChanged":
            self._given_up(attempt, now_s)
        if event.op == "statusChanged" and attempt.phase == ABANDONED:
            self.counts["abandoned"] += 1
        if event.op in ("specChanged", "statusChanged") and attempt.phase == SUCCEEDED:
            self._count(attempt, claim, state)

    def _judged(self, event: Event, state: State, now_s: float) -> None:
        status = event.part["status"]
        phase, reason = status["phase"], status.get("reason", "")
        if phase == ONLINE:
            self._cut_s.pop(event.path, None)
            self._heard[event.path] = event.position
        elif phase == DISCONNECTED:
            self._cut_s.setdefault(event.path, now_s)
        elif phase == LOST and reason.startswith("an operator"):
            word = state.nodes[config_path(*place_of(event.path))].spec["word"]
            if word["position"] < self._heard.get(event.path, 0):
                self._complain(f"{event.path} is lost by a word that was said before it was heard from")

    def _given_up(self, attempt: Node, now_s: float) -> None:
        reason = attempt.spec.get("intentReason", "")
        before, self._reasons[attempt.path] = self._reasons.get(attempt.path, ""), reason
        self.counts["leases over"] += reason == LEASE_OVER != before
        if reason != EDGE_CUT_OFF or before == reason:
            return
        after_s = attempt.spec.get("replaceAfterS")
        self.counts["replaced"] += 1
        cut_s = self._cut_s.get(inventory_path(*place_of(attempt.path)))
        if after_s is None:
            self._complain(f"{attempt.path} is replaced, and its job waits for its edge")
        elif cut_s is not None and now_s - cut_s < after_s - LATE_S:
            self._complain(f"{attempt.path} is replaced {now_s - cut_s:.0f} s after it was cut off, not {after_s}")

    def _count(self, attempt: Node, claim: Claim, state: State) -> None:
        if attempt.status.get("settlement") != "counted" and not attempt.spec.get("adopted"):
            return
        chunk = (claim.owner, claim.index)
        if chunk not in self._counted:
            self._counted[chunk], by_word = attempt.path, attempt.spec.get("adopted", False)
            self.counts["adopted" if by_word else "first"] += claim.epoch < state.entries[chunk].epoch
        elif self._counted[chunk] != attempt.path:
            self._complain(f"{attempt.path} is counted, and so was {self._counted[chunk]}")


def is_double(attempt: Node, state: State) -> bool:
    """Whether it goes on though its chunk has the result of another one."""
    claim = claim_of(attempt.path)
    entry = state.entries.get((claim.owner, claim.index)) if claim is not None else None
    return entry is not None and entry.phase == SUCCEEDED and entry.holder != attempt.path


def unheard(job: Node, state: State) -> str:
    """What a job is to say of its chunks on edges that are cut off; empty where there are none."""
    places = (
        inventory_path(*place_of(entry.holder))
        for (owner, _), entry in state.entries.items()
        if owner == job.uid and entry.phase in (PLACED, RUNNING)
    )
    chunks = sum(place in state.nodes and state.nodes[place].phase in (DISCONNECTED, LOST) for place in places)
    if not chunks:
        return ""
    what = "1 chunk is" if chunks == 1 else f"{chunks} chunks are"
    return f"{what} on edges that are not heard from: how far these are is not known"
