"""What callbacks are told of a job, when they are tried again, and what becomes of it."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

import msgspec

from datamodel.kinds import Document
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.scheduling.callbacks import DELIVERED, GIVEN_UP, NOTICES_BYTES, WAITING
from datamodel.scheduling.jobs import FINISHED, SUCCEEDED
from reconcilers.calling.ports import Reply, Unsent

FORMAT = 1
"""Of what is sent. It rises when a member goes or comes to mean something else, not when one is added."""
GONE = 410
"""By Standard Webhooks: the receiver wants nothing any more."""
_SENT_ONLY = ("version", "generation", "startedAt", "chunks")

_encode = msgspec.json.Encoder(order="deterministic").encode


def noted(job: Node, status: Document, now: datetime) -> list[Document]:
    """The notices of a job that comes to have this status, with one more where it reaches a phase by it that somebody is to be
    told of. Of a phase that it rests in, it is seen later as well that nobody took note of it."""
    before, phase = list(job.status.get("callbacks") or ()), status.get("phase", "")
    asked = [number for number, callback in enumerate(job.spec.get("callbacks") or ()) if phase in callback["on"]]
    if not asked or job.deletion_requested_at is not None:
        return before
    at = status["finishedAt"] if phase in FINISHED else now.isoformat()
    if phase in FINISHED:
        is_known = any((notice["phase"], notice["at"]) == (phase, at) for notice in before)
    else:
        is_known = phase == job.phase
    if is_known:
        return before
    notice = {
        "id": _id(job.uid, phase, at),
        "phase": phase,
        "at": at,
        "generation": job.generation,
        **({"startedAt": status["startedAt"]} if status.get("startedAt") else {}),
        "chunks": {name: count for name, count in sorted(status.get("chunks", {}).items()) if count},
        "told": [{"callback": number, "state": WAITING} for number in asked],
    }
    return _kept([*before, notice])


def sealed(notices: Sequence[Document], version: int) -> list[Document]:
    """The same with the version that new ones are sent with. It is written before anything is sent: what a receiver gets under
    one id is always the same."""
    return [
        {**notice, "version": version} if is_waiting(notice) and "version" not in notice else notice
        for notice in notices
    ]


def is_waiting(notice: Document) -> bool:
    """Whether somebody is to be told of it yet."""
    return any(told["state"] == WAITING for told in notice["told"])


def is_telling(job: Node) -> bool:
    """Whether somebody is to be told of the job yet: it stays until they are, or are given up."""
    return any(map(is_waiting, job.status.get("callbacks") or ()))


def body_of(job: Node, notice: Document) -> bytes:
    """What is sent: the shape that docs/callbacks.md tells. A job that has outputs has succeeded, and has them for good."""
    group = job.path.split("/")[3]
    data: Document = {
        "job": job.path,
        "group": group,
        "name": last_name(job.path),
        "uid": job.uid,
        "version": notice["version"],
        "generation": notice["generation"],
        "phase": notice["phase"],
        "startedAt": notice.get("startedAt"),
        "finishedAt": notice["at"] if notice["phase"] in FINISHED else None,
        "chunks": {"total": sum(notice["chunks"].values()), **notice["chunks"]},
        "outputs": job.status.get("outputs") if notice["phase"] == SUCCEEDED else None,
    }
    event = {"format": FORMAT, "id": notice["id"], "type": f"job.{notice['phase']}", "timestamp": notice["at"]}
    return _encode({**event, "data": data})


@dataclass(frozen=True, slots=True)
class Terms:
    """How long somebody is tried: at once, again after `first_s` and ever twice as long, but at most `most_s`; so many attempts
    at most, and none later than `give_up_s` after the job reached the phase."""

    attempts: int
    give_up_s: float
    first_s: float = 2.0
    most_s: float = 3600.0

    def moments_s(self, notice: str) -> list[float]:
        """When a notice is sent, in seconds since the job reached the phase: spread by its id, the same in every process."""
        delays = (
            min(self.first_s * 2.0 ** min(number, 32), self.most_s) * (0.5 + _fraction(f"{notice}/{number}") / 2)
            for number in range(self.attempts - 1)
        )
        return [moment for moment in accumulate(delays, initial=0.0) if moment <= self.give_up_s]


class Verdict(msgspec.Struct, frozen=True):
    """What became of one attempt. It is tried again where that is neither delivered nor final."""

    delivered: bool
    final: bool
    reason: str = ""
    message: str = ""


def judge(reply: Reply, *, is_last: bool) -> Verdict:
    """By what the receiver answered, or why it did not, to the last attempt or another one."""
    if isinstance(reply, Unsent):
        return Verdict(delivered=False, final=is_last, reason=reply.reason, message=reply.message[:96])
    if 200 <= reply < 300:
        return Verdict(delivered=True, final=True)
    if 300 <= reply < 400:
        return Verdict(delivered=False, final=is_last, reason="Redirected", message=f"it answered {reply}")
    return Verdict(
        delivered=False,
        final=is_last or reply == GONE,
        reason="Gone" if reply == GONE else "Refused",
        message=f"it answered {reply}",
    )


Attempt = tuple[str, int]
"""The id of a notice and the place of a callback."""


def waiting(notices: Sequence[Document]) -> Iterator[tuple[Document, int]]:
    """Each notice with each callback that is to be told of it."""
    for notice in notices:
        yield from ((notice, told["callback"]) for told in notice["told"] if told["state"] == WAITING)


def settled(notices: Sequence[Document], verdicts: Mapping[Attempt, Verdict], now: datetime) -> list[Document]:
    """The notices after some attempts. A first failure is written down, so that people can see it, and then only the end."""
    after = []
    for notice in notices:
        told = [_told(one, verdicts.get((notice["id"], one["callback"])), now) for one in notice["told"]]
        changed = {**notice, "told": told}
        after.append(changed if is_waiting(changed) else _without(changed, _SENT_ONLY))
    return _kept(after)


def _told(told: Document, verdict: Verdict | None, now: datetime) -> Document:
    if verdict is None or told["state"] != WAITING:
        return told
    trouble = {"reason": verdict.reason, "message": verdict.message}
    if verdict.delivered:
        return {"callback": told["callback"], "state": DELIVERED, "at": now.isoformat()}
    if verdict.final:
        return {"callback": told["callback"], "state": GIVEN_UP, "at": now.isoformat(), **trouble}
    return told if told.get("reason") else {**told, **trouble}


def _kept(notices: list[Document]) -> list[Document]:
    """As many as a status has room for: the oldest that nobody waits for go first, then the oldest, never the newest."""
    while len(notices) > 1 and len(_encode(notices)) > NOTICES_BYTES:
        older = notices[:-1]
        notices.remove(next((notice for notice in older if not is_waiting(notice)), older[0]))
    return notices


def _without(document: Document, names: Sequence[str]) -> Document:
    return {name: value for name, value in document.items() if name not in names}


def _id(uid: str, phase: str, at: str) -> str:
    return f"evt_{hashlib.blake2b(f'{uid} {phase} {at}'.encode(), digest_size=16).hexdigest()}"


def _fraction(text: str) -> float:
    """From 0 to below 1."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big") / 2**32
