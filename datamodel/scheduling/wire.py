"""What agents and the hub say to each other over core NATS, and where.

`report.SITE.AGENT`: an agent's window of reports, in the order of its outbox. `committed.SITE.AGENT`: how far the hub has
taken them in for good. `beat.SITE.AGENT`: an agent's heartbeat with the number of the edges that it hosts, which are named
after it. All may be lost or come twice: the outbox and the mark in the store make them safe.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from datamodel.feed import message
from datamodel.scheduling.artifacts import ARTIFACT_LIMIT_BYTES

WIRE_VERSION = 1
"""Of the window below; `windows.py` has that of version 2, and says who speaks which."""
WINDOW_REPORTS = 256
WINDOW_BYTES = 512 * 1024
WINDOWS_IN_FLIGHT = 8
"""Windows that an agent sends ahead of what is committed; the hub keeps room for as many."""
BEAT_S = 1.5
"""Three in a row must be late before an edge is suspected, by the default of 5 s."""
GROUP_LIMIT = 10_000
"""The most edges of one agent."""


class KeptArtifact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file that an attempt has left at the hub, complete and checked. `sha256` is lower-case hex."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
    bytes: Annotated[int, msgspec.Meta(ge=0, le=ARTIFACT_LIMIT_BYTES)]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class AttemptReport(msgspec.Struct, frozen=True, rename="camel", tag="attempt", forbid_unknown_fields=True):
    """What became of one attempt so far. `attempt` is the node's name under its edge, `uid` the node's: an agent that is
    started again knows by it of which one it has told, since names come back after the hub's database was put back."""

    edge: str
    attempt: str
    phase: Literal["running", "succeeded", "failed", "interrupted", "stopped"]
    at: datetime
    percent: float = 0.0
    step: int = 0
    exit_codes: tuple[int, ...] = ()
    reason: str = ""
    message: str = ""
    outputs: dict[str, Any] | None = None
    artifacts: tuple[KeptArtifact, ...] = ()
    started_at: datetime | None = None
    uid: str = ""


class Foreseen(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """From a moment on, an edge expects to have so much power."""

    at: datetime
    power_w: float


class EdgeReport(
    msgspec.Struct, frozen=True, rename="camel", tag="edge", forbid_unknown_fields=True, omit_defaults=True
):
    """An edge registers: what it is and has. Sent at every start of its agent and when any of it changes. What it does not say
    is not there, so that an older hub takes what it knows."""

    edge: str
    at: datetime
    cpu: float
    memory_bytes: int
    power_w: float
    runtime: str
    agent_version: str
    labels: dict[str, str] = {}
    not_isolated: tuple[str, ...] = ()
    trouble: str = ""
    public_key: str | None = None
    gpus: dict[str, int] | None = None
    countables: dict[str, int] | None = None
    carbon_g_per_kwh: float | None = None
    forecast: tuple[Foreseen, ...] | None = None
    images: tuple[str, ...] | None = None
    guards: bool = False
    """Of version 2: what runs under a lease ends with it here, whatever becomes of the agent."""


Report = AttemptReport | EdgeReport


class Window(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Consecutive records of an outbox: `reports[k]` is number `first + k` of the incarnation. Each report is left as bytes,
    so that one that cannot be read does not take the others with it. A window without reports asks how far the hub is."""

    version: int
    site: str
    agent: str
    incarnation: str
    first: int
    reports: list[msgspec.Raw]


class Committed(msgspec.Struct, frozen=True, rename="camel"):
    """All reports of the incarnation up to `through` are settled; the agent may forget them. `gap`: later ones came without
    those right after `through`, which were lost on the way and are to be sent again. `speaks` and `boot` are of version 2: what
    the hub speaks, and which start of the agent it holds for the newest. Where that is another one than the window's, nothing
    of the window was taken."""

    incarnation: str
    through: int
    gap: bool = False
    speaks: tuple[int, ...] = ()
    boot: int = 0


class Beat(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """The agent that the subject names lives, and hosts so many edges, whose names are `hosted_edges`. It is what an idle agent
    sends, so it says no more than that. Agents before version 2 name themselves and all of the edges."""

    count: Annotated[int, msgspec.Meta(ge=0, le=GROUP_LIMIT)] = 1
    site: str = ""
    agent: str = ""
    edges: Annotated[list[str], msgspec.Meta(max_length=GROUP_LIMIT)] = []

    @property
    def hosted(self) -> int:
        """How many edges it speaks for."""
        return len(self.edges) or self.count


UNREADABLE = message.UNREADABLE
"""What the decoders raise for bytes that are no such message."""

decode_window = msgspec.json.Decoder(Window).decode
decode_report = msgspec.json.Decoder(Report).decode
decode_committed = msgspec.json.Decoder(Committed).decode
decode_beat = msgspec.json.Decoder(Beat).decode
encode = msgspec.json.Encoder().encode


def report_subject(site: str, agent: str) -> str:
    return f"report.{site}.{agent}"


def committed_subject(site: str, agent: str) -> str:
    return f"committed.{site}.{agent}"


def beat_subject(site: str, agent: str) -> str:
    return f"beat.{site}.{agent}"


def hosted_edges(agent: str, count: int) -> list[str]:
    """The names of the edges that an agent hosts: its own, or with a number for a group."""
    return [agent] if count == 1 else [f"{agent}-{index}" for index in range(count)]


def is_hosted(agent: str, edge: str, count: int) -> bool:
    """Whether it is one of `hosted_edges(agent, count)`."""
    if edge == agent:
        return count == 1
    prefix, _, number = edge.rpartition("-")
    if prefix != agent or count < 2 or not (number.isascii() and number.isdecimal()):
        return False
    return len(number) < 9 and int(number) < count and str(int(number)) == number


def hosts(agent: str, edge: str) -> bool:
    """Whether an edge of this name can be the agent's: its subject allows it to speak for no other."""
    if edge == agent:
        return True
    prefix, _, number = edge.rpartition("-")
    return prefix == agent and number.isdecimal()
