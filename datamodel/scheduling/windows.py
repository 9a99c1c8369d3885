"""The windows of reports, by the versions of the wire; and which of them two programs speak with each other.

A hub says in every answer which versions it speaks; an agent takes the highest that it speaks too, and asks by the oldest where
it does not know. So a program of this version and one of the version before understand each other, whichever is the newer one.

Version 2 says which start of an agent a window is from (`boot`). The hub holds the newest boot of each agent, and takes reports
of that one only: of two agents that run from copies of one disk, one is believed. A boot begins by a window that names the one
that it follows (`after`); whoever does not know it is refused and told it. So a window that comes late, of a program that is
gone, takes nothing over.

Up to version 1, a message with a field that its reader does not know is no message. From version 2 on, such fields are passed
over, in windows and in the reports within.
"""

from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec.structs import replace

from datamodel.scheduling import wire

SPEAKS = (1, 2)
"""The versions that this program speaks, as agent and as hub: its own, and the one before."""
BOOT_BITS = 32
"""A boot's number is a count of starts, and so many bits of chance: two starts from copies of one disk differ."""
NO_BOOT = -1

_Boot = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Window(wire.Window, frozen=True, rename="camel", forbid_unknown_fields=False):
    """That of version 2. `after`: the boot that this one follows, as the hub has told it; 0 where it has told of none, and
    `NO_BOOT` where this one wants to follow none, since it has been refused. `host`: where it runs, in words for people."""

    boot: _Boot = 0
    after: Annotated[int, msgspec.Meta(ge=NO_BOOT, le=2**63 - 1)] = NO_BOOT
    host: Annotated[str, msgspec.Meta(max_length=255)] = ""


class _Attempt(wire.AttemptReport, frozen=True, tag="attempt", forbid_unknown_fields=False):
    pass


class _Edge(wire.EdgeReport, frozen=True, tag="edge", forbid_unknown_fields=False):
    pass


class _Versioned(msgspec.Struct):
    version: int


_version_of = msgspec.json.Decoder(_Versioned).decode
_newer = msgspec.json.Decoder(Window).decode
_report = msgspec.json.Decoder(_Attempt | _Edge).decode


def decode_window(body: bytes) -> wire.Window:
    """Raises `wire.UNREADABLE` for what is no window of a version that is spoken here."""
    version = _version_of(body).version
    if version not in SPEAKS:
        raise msgspec.ValidationError(f"a window of version {version}, and {SPEAKS} are spoken here")
    return wire.decode_window(body) if version == 1 else _newer(body)


def decode_report(body: bytes | msgspec.Raw, version: int) -> wire.Report:
    """A report out of a window of that version. Raises `wire.UNREADABLE`."""
    report: wire.Report = wire.decode_report(body) if version == 1 else _report(body)
    return report


def told_by(report: msgspec.Raw, version: int) -> msgspec.Raw:
    """A report as that version of the wire tells it: of version 1, nobody reads one with what is not known there."""
    if version > 1 or b'"guards"' not in bytes(report):
        return report
    said = _report(report)
    return msgspec.Raw(wire.encode(replace(said, guards=False))) if isinstance(said, wire.EdgeReport) else report


def common(offered: Iterable[int]) -> int:
    """The highest version that this program and one that offers these speak; the oldest where there is none, since who says
    nothing is of the time before versions were told."""
    return max({*offered} & {*SPEAKS}, default=SPEAKS[0])


def next_boot(known: Iterable[int], luck: int) -> int:
    """A boot above all of these. `luck`: bits of chance, of which `BOOT_BITS` are used."""
    count = (max(known, default=0) >> BOOT_BITS) + 1
    return count << BOOT_BITS | (luck & (1 << BOOT_BITS) - 1)
