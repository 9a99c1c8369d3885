"""Leases in the store in memory."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec.structs import replace

from datamodel.lease import LEASE_LIMIT_S, Lease, next_token


class HeldLease(msgspec.Struct, frozen=True):
    """A lease as it was given last. It may be over."""

    holder: str
    token: int
    expires_at: datetime


class MemoryLeases:
    """What they mean is said at the port."""

    _clock: Callable[[], datetime]
    _leases: dict[str, HeldLease]

    async def acquire(self, names: Collection[str], holder: str, ttl_s: float) -> dict[str, int]:
        tokens = {}
        for name in names:
            held, last = self._taken(name), self._leases.get(name)
            if held is not None and held.holder != holder:
                continue
            now = self._clock()
            tokens[name] = held.token if held is not None else next_token(last.token if last is not None else 0, now)
            self._leases[name] = HeldLease(holder, tokens[name], now + timedelta(seconds=ttl_s))
        return tokens

    async def renew(self, prefixes: Collection[str], holder: str, ttl_s: float) -> dict[str, Lease]:
        begins, now = tuple(prefixes), self._clock()
        longest, expires_at = now + timedelta(seconds=LEASE_LIMIT_S), now + timedelta(seconds=ttl_s)
        found = {}
        for name, lease in self._leases.items():
            if now < lease.expires_at <= longest and name.startswith(begins):
                found[name] = Lease(lease.holder, lease.token)
                if lease.holder == holder:
                    self._leases[name] = HeldLease(holder, lease.token, expires_at)
        return found

    async def release(self, names: Collection[str], holder: str) -> None:
        for name in names:
            lease = self._leases.get(name)
            if lease is not None and lease.holder == holder:
                self._leases[name] = replace(lease, expires_at=datetime.min.replace(tzinfo=UTC))

    def _held(self, name: str) -> HeldLease | None:
        lease = self._leases.get(name)
        return lease if lease is not None and lease.expires_at > self._clock() else None

    def _taken(self, name: str) -> HeldLease | None:
        """Held, and given by a clock that was not put back since: nobody else may take it."""
        lease = self._held(name)
        longest = timedelta(seconds=LEASE_LIMIT_S)
        return lease if lease is not None and lease.expires_at <= self._clock() + longest else None
