"""Identifiers of nodes and events: UUIDs of version 7 (RFC 9562), as 32 hexadecimal digits without dashes.

They begin with their time, so an index of them takes what is new at its end. With random ones each went to another page, and a
created node cost Postgres a tenth more.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICKS_PER_MS = 1 << 12
_VERSION = 7 << 12
_RANDOM_DIGITS = 13
_COUNTS = [(f"8{number:02x}", number * _RANDOM_DIGITS) for number in range(64)]
"""The variant, then how many were made at a tick before, and where the random part begins among those that are drawn for all of
them: a draw for each would cost as much as the row that it names."""


def identifiers(now: datetime) -> Iterator[str]:
    """Without end. 64 are of each tick of 0.24 us, the first of `now`, which is after 1970; two processes that ask at the same
    moment are told apart by 52 random bits."""
    ticks = (now - _EPOCH) // timedelta(microseconds=1) * _TICKS_PER_MS // 1000
    while True:
        time = f"{(ticks >> 12) << 16 | _VERSION | ticks & 0xFFF:016x}"
        drawn = os.urandom(len(_COUNTS) * (_RANDOM_DIGITS + 1) // 2).hex()
        yield from [time + count + drawn[at : at + _RANDOM_DIGITS] for count, at in _COUNTS]
        ticks += 1
