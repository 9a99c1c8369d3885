"""Causes: what led to an event, as the log records it, so that a change can be followed back to who asked for it.

| cause | what led to it |
|---|---|
| `request:ID` | a request, by the id that its answer told |
| `event:POSITION` | an event, the newest that its reconciler acted on |
| `report:SOURCE/NUMBER` | a report from outside, by its number at its source |
| `resync` | a reconciler looked at everything, as it does now and then |
| `requeue` | a reconciler looked again, as it had said that it would |
| `message` | a reconciler heard something that is no event, such as a heartbeat |
| `seed` | the model was put into a database |

A correlation is what all belongs together that one request has led to. It goes from the request to what is created for it, and
what is written of a node by who knows no other is correlated as the node's creation.
"""

import re
from contextvars import ContextVar

RESYNC, REQUEUE, MESSAGE, SEED = "resync", "requeue", "message", "seed"
CAUSE_LIMIT = 256
CORRELATION_LIMIT = 128

_KNOWN = re.compile(
    r"request:[!-~]{1,128}|event:[1-9][0-9]{0,18}|report:[^/\s]+(/[^/\s]+)*/[1-9][0-9]*|resync|requeue|message|seed"
)


class Cause:
    """Why a task does what it does; `has_led` says whether anything was written because of it."""

    __slots__ = ("correlation", "has_led", "text")

    def __init__(self, text: str, correlation: str = "") -> None:
        self.text = text
        self.correlation = correlation
        self.has_led = False


present_cause: ContextVar[Cause | None] = ContextVar("present_cause", default=None)
"""The cause of what the running task does: what it appends without saying why has this one."""


def event_cause(position: int) -> str:
    return f"event:{position}"


def report_cause(source: str, number: int) -> str:
    """The report with this number at its source."""
    return f"report:{source}/{number}"


def is_known(cause: str) -> bool:
    """Whether a cause has one of the shapes above."""
    return _KNOWN.fullmatch(cause) is not None


def causing_position(cause: str) -> int | None:
    """The position of the event that a cause names, None where it names none."""
    kind, _, position = cause.partition(":")
    return int(position) if kind == "event" and position.isdecimal() else None
