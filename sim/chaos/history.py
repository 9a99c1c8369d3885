"""The history of a run: every request with its answer, or that none came, and when an older database was put back."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

now_s = time.monotonic
"""The clock of a history: steady, in seconds."""


class Order(msgspec.Struct, frozen=True):
    """A job that the run asks for: so many chunks, so many steps each."""

    name: str
    chunks: int
    steps: int


class Seen(msgspec.Struct, frozen=True):
    """What an answer says of a job. `version` is the log's position of its last change."""

    uid: str
    version: int
    phase: str
    succeeded: int
    outputs: dict[str, Any] | None
    executed: int | None
    """Succeeded chunks by its executions; None where the answer lists none."""
    deleting: bool


class Request(msgspec.Struct, frozen=True):
    """One request of a job. `status` is the answer's, None where none came: then it is unknown what became of it, and
    `answered_s` is when it was given up."""

    verb: Literal["submit", "read", "delete"]
    job: str
    asked_s: float
    answered_s: float
    status: int | None
    seen: Seen | None = None

    @property
    def unknown(self) -> bool:
        """Whether it may or may not have been done: no answer, or one of 500 and above."""
        return self.status is None or self.status >= 500


class Rollback(msgspec.Struct, frozen=True):
    """The database was put back to a copy: what was written between the copy and the return may be gone."""

    copied_from_s: float
    copied_to_s: float
    began_s: float
    ended_s: float

    def may_undo(self, request: Request) -> bool:
        """Whether what the request did can be gone by this."""
        return request.answered_s > self.copied_from_s and request.asked_s < self.ended_s

    def may_touch(self, began_s: float, ended_s: float) -> bool:
        """Whether anything of what went on between these can be gone by this."""
        return ended_s > self.copied_from_s and began_s < self.ended_s


@dataclass(slots=True)
class History:
    """Grows with the run, and is as long as it is: a few dozen requests a second."""

    orders: dict[str, Order] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    rollbacks: list[Rollback] = field(default_factory=list)

    def accepted_since(self, moment_s: float) -> int:
        """How many submissions were asked after this moment, and accepted."""
        recent = (request for request in reversed(self.requests) if request.asked_s > moment_s)
        return sum(request.verb == "submit" and request.status == 202 for request in recent)

    def write(self, path: Path) -> None:
        """Leaves it as lines of JSON, for whoever looks for the reason of a violation."""
        records = [*self.orders.values(), *self.requests, *self.rollbacks]
        path.write_bytes(msgspec.json.Encoder().encode_lines(records))


def seen(document: Mapping[str, Any]) -> Seen:
    """What a job's document says."""
    metadata, status = document["metadata"], document["status"]
    executions = status.get("executions")
    return Seen(
        uid=metadata["uid"],
        version=metadata["version"],
        phase=status["phase"],
        succeeded=status["chunks"].get("succeeded", 0),
        outputs=status.get("outputs"),
        executed=None if executions is None else sum(execution["succeeded"] for execution in executions),
        deleting="deletionRequestedAt" in metadata,
    )
