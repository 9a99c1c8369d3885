"""Fenced shards: which of the work this replica may do, by leases that the store's clock judges."""

import asyncio
import math
import os
import random
import socket
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence

import structlog

from datamodel.command import Fence
from datamodel.errors import Transient
from datamodel.ports import Leases

LEASE_TTL_S = 5.0
_MEMBERS = "member/"
_log = structlog.get_logger("shards")


def shard_of(key: str, shards: int) -> int:
    """The same in every process and version: CRC-32 of the key."""
    return zlib.crc32(key.encode()) % shards


def lease_name(group: str, shard: int) -> str:
    return f"{group}/{shard}"


class Shards:
    """The leases of one replica. The replicas of a program share evenly: each keeps at most its part, and gives up what is
    above it. Other programs at the same store, which may want other groups, have no part in that."""

    def __init__(self, leases: Leases, ttl_s: float = LEASE_TTL_S, program: str = "reconcilers") -> None:
        self._leases = leases
        self._ttl_s = ttl_s
        self._holder = f"{socket.gethostname()}/{os.getpid()}/{os.urandom(4).hex()}"
        self._members = f"{_MEMBERS}{program}/"
        self._member = self._members + self._holder
        self._groups: dict[str, tuple[list[str], Callable[[int], None]]] = {}
        self._held: dict[str, tuple[Fence, float]] = {}

    def want(self, group: str, shards: int, acquired: Callable[[int], None]) -> None:
        """Competes for the shards 0 to `shards - 1` of a group; `acquired(shard)` runs whenever one has become ours."""
        self._groups[group] = ([lease_name(group, shard) for shard in range(shards)], acquired)

    def fence(self, lease: str) -> Fence | None:
        """The fence of a shard by its lease's name, None where it is not (or not surely) ours now."""
        held = self._held.get(lease)
        if held is None or asyncio.get_running_loop().time() >= held[1]:
            return None
        return held[0]

    async def run(self) -> None:
        """Renews and acquires until it is cancelled; then lets go of everything."""
        try:
            while True:
                try:
                    await self._round()
                except Transient as error:
                    _log.warning("leases could not be renewed", error=error.message)
                await asyncio.sleep(self._ttl_s / 3 * random.uniform(0.8, 1.0))  # noqa: S311 - spreads the replicas
        finally:
            await self._let_go()

    async def _round(self) -> None:
        """One look at who has what, and one request for all that is to be ours, renewals included."""
        holders = await self._leases.holders([self._members, *(f"{group}/" for group in self._groups)])
        others = sum(name.startswith(self._members) and name != self._member for name in holders)
        shares = [
            self._share(names, math.ceil(len(names) / (others + 1)), holders) for names, _ in self._groups.values()
        ]
        surplus = [name for _, more in shares for name in more]
        for name in surplus:
            self._held.pop(name, None)
        held = await self._acquired([self._member, *(name for wanted, _ in shares for name in wanted)])
        now_s = asyncio.get_running_loop().time()
        before, self._held = self._held, {name: held[name] for name in held if name != self._member}
        kept = {name: was[0] for name, was in before.items() if was[1] > now_s}
        missed = {name for name, now in self._held.items() if kept.get(name) != now[0]}
        for names, acquired in self._groups.values() if missed else ():
            for shard, name in enumerate(names):
                if name in missed:
                    acquired(shard)  # what was not surely ours missed its wakes
        if surplus:
            await self._leases.release(surplus, self._holder)

    def _share(self, names: Sequence[str], quota: int, holders: Mapping[str, str]) -> tuple[list[str], list[str]]:
        """Of a group's leases, those that are to be ours, and those of ours that are above the quota. Ours come first, and
        then any that nobody holds: a request whose answer was lost may have made some ours of which we do not know."""
        mine = [name for name in names if name in self._held or holders.get(name) == self._holder]
        free = [name for name in names if name not in holders and name not in self._held]
        random.shuffle(free)
        return [*mine, *free][:quota], mine[quota:]

    async def _acquired(self, names: Collection[str]) -> dict[str, tuple[Fence, float]]:
        """Fences of those of the leases that are ours now, with the time until which they surely are."""
        asked_s = asyncio.get_running_loop().time()
        tokens = await self._leases.acquire(names, self._holder, self._ttl_s)
        return {name: (Fence(name, token), asked_s + self._ttl_s) for name, token in tokens.items()}

    async def _let_go(self) -> None:
        names, self._held = [*self._held, self._member], {}
        try:
            await self._leases.release(names, self._holder)
        except Transient as error:
            _log.warning("leases were not released; they expire", error=error.message)
