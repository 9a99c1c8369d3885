"""The port: what sends a call. Adapters: `http.HttpSender`, and in memory `memory.MemorySender`."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

TIMED_OUT, UNREACHABLE, UNRESOLVED, NOT_ALLOWED, UNTRUSTED, BROKEN = (
    "TimedOut",
    "Unreachable",
    "Unresolved",
    "NotAllowed",
    "Untrusted",
    "Broken",
)
"""Why there is no answer."""


class Call(msgspec.Struct, frozen=True):
    """A POST of a JSON body. The headers are those beside the ones that HTTP itself needs."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class Unsent(msgspec.Struct, frozen=True):
    """Why there is no answer: the receiver may have had the call all the same. It shows no address that a name has."""

    reason: str
    message: str


Reply = int | Unsent
"""The status that the receiver answered, or why it did not."""


class Sender(Protocol):
    """What calls receivers."""

    async def send(self, call: Call) -> Reply:
        """Sends a call once, follows no redirect, and reads no more of the answer than its status. It returns within a time
        that the adapter was made with."""
        ...
