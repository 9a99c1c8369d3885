"""Leases: how long an attempt of an `exclusive` job may run without a word of the hub's, asked for over core NATS.

`lease.SITE.AGENT`: an agent asks for its attempts. `leased.SITE.AGENT`: what it is granted. Both may be lost or come twice.
A grant holds from the moment of the question that it answers, by the edge's own CLOCK_BOOTTIME, which counts while the machine
is suspended: so it is over at the edge before it is over by any clock that began at the answer, and the two clocks are never
compared.
"""

from typing import Annotated

import msgspec

from datamodel.feed import message

WIRE_VERSION = 2
"""Leases are of this version of the wire from the beginning: a hub that speaks none has no jobs that need them."""
ASKED_LIMIT = 1_000
"""Attempts of one question."""
LEASE_LEAST_S, LEASE_MOST_S = 5.0, 86_400.0
RENEWALS = 3
"""How often a lease is renewed within its time: two questions in a row may be lost."""
GUARD_S = 2.0
"""How long after its lease's end something of an attempt may still run: what ends it looks twice a second, also right after the
machine was suspended, and a kill takes its time. Who places the chunk elsewhere waits for as long."""
CLOCK_MARGIN = 0.02
"""How much faster than the edge's the clock of who waits for a lease's end may go: forty times what ntpd slews by at most."""


class Held(msgspec.Struct, frozen=True):
    """An attempt, by the node's name under its edge, that has a lease or wants one."""

    edge: str
    attempt: str


class LeaseAsk(msgspec.Struct, frozen=True, rename="camel"):
    """`number`: of this question alone, among those of the agent's process. `boot`: of which start of the agent; only the
    newest is granted anything."""

    version: int
    site: str
    agent: str
    boot: int
    number: int
    attempts: tuple[Held, ...]


class LeaseAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """`holds`: by attempt, for how many seconds from the question on it may run. One that is not named gets nothing more, and
    ends when what it was granted last is over."""

    number: int
    holds: dict[str, Annotated[float, msgspec.Meta(gt=0, le=LEASE_MOST_S)]]


def over_after_s(lease_s: float) -> float:
    """How many seconds after it was granted last nothing runs under a lease any more, by the clock of who granted it."""
    return lease_s * (1.0 + CLOCK_MARGIN) + GUARD_S


UNREADABLE = message.UNREADABLE
decode_ask = msgspec.json.Decoder(LeaseAsk).decode
decode_answer = msgspec.json.Decoder(LeaseAnswer).decode
encode = msgspec.json.Encoder().encode


def ask_subject(site: str, agent: str) -> str:
    return f"lease.{site}.{agent}"


def answer_subject(site: str, agent: str) -> str:
    return f"leased.{site}.{agent}"
