"""A lease as it is told, how long one may last, and its tokens."""

from datetime import UTC, datetime, timedelta

import msgspec

LEASE_LIMIT_S = 300.0
"""No lease is given for longer. One that runs longer was given by a clock that has been put back since, and is free: else a
holder that died before would have it for as long as the clock was put back."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Lease(msgspec.Struct, frozen=True):
    """A lease that is held."""

    holder: str
    token: int


def next_token(last: int, now: datetime) -> int:
    """What follows a token, and 0 where there was none: the microseconds since 1970 by the store's clock, if that is more. So a
    store that was put back to an older state gives nobody a token that it has given before, and which somebody yet believes
    in."""
    return max(last + 1, (now - _EPOCH) // timedelta(microseconds=1))
