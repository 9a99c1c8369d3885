"""A lease as it is told, and how long one may last."""

import msgspec

LEASE_LIMIT_S = 300.0
"""No lease is given for longer. One that runs longer was given by a clock that has been put back since, and is free: else a
holder that died before would have it for as long as the clock was put back."""


class Lease(msgspec.Struct, frozen=True):
    """A lease that is held."""

    holder: str
    token: int
