"""Identifiers of nodes and events: UUIDs of version 7 (RFC 9562), as 32 hexadecimal digits without dashes.

They begin with their time, so an index of them takes what is new at its end. With random ones each went to another page, and a
created node cost Postgres a tenth more.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DRAWN = 64
"""Random parts that are drawn at a time: a draw for each would cost as much as the row that it names."""
_TICKS_PER_MS = 1 << 12
_VERSION, _VARIANT = 7 << 12, "8"


def identifiers(now: datetime) -> Iterator[str]:
    """Without end. Each one is of a moment 0.24 us after the one before, the first of `now`, which is after 1970; two processes
    that ask at the same moment are told apart by 60 random bits."""
    ticks = (now - _EPOCH) // timedelta(microseconds=1) * _TICKS_PER_MS // 1000
    while True:
        drawn = os.urandom(8 * _DRAWN).hex()
        for at in range(0, len(drawn), 16):
            time = (ticks >> 12) << 16 | _VERSION | ticks & 0xFFF
            yield f"{time:016x}{_VARIANT}{drawn[at + 1 : at + 16]}"
            ticks += 1
