"""Fenced shards: which of the work this replica may do, by leases that the store's clock judges."""

import asyncio
import math
import os
import random
import socket
import time
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

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
        self._groups: dict[str, list[str]] = {}
        self._acquired: dict[str, Callable[[], None]] = {}
        self._held: dict[str, tuple[Fence, float]] = {}
        self._time_s: Callable[[], float] = time.monotonic
        """The loop's clock, once something is held by it."""

    def want(self, group: str, shards: int, acquired: Callable[[int], None]) -> None:
        """Competes for the shards 0 to `shards - 1` of a group; `acquired(shard)` runs whenever one has become ours."""
        self._groups[group] = [lease_name(group, shard) for shard in range(shards)]
        for shard, name in enumerate(self._groups[group]):
            self._acquired[name] = partial(acquired, shard)

    def fence(self, lease: str) -> Fence | None:
        """The fence of a shard by its lease's name, None where it is not (or not surely) ours now."""
        held = self._held.get(lease)
        if held is None or self._time_s() >= held[1]:
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
        """One request renews what is ours and tells who has what. Another one takes what is to be ours besides, if anything."""
        asked_s = asyncio.get_running_loop().time()
        found = await self._leases.renew(
            [self._members, *(f"{group}/" for group in self._groups)], self._holder, self._ttl_s
        )
        ours = {name: lease.token for name, lease in found.items() if lease.holder == self._holder}
        self._held = {name: held for name, held in self._held.items() if name in ours}
        self._hold(ours, asked_s)
        replicas = len({self._member, *(name for name in found if name.startswith(self._members))})
        shares = [self._share(names, math.ceil(len(names) / replicas), found) for names in self._groups.values()]
        surplus = [name for _, more in shares for name in more]
        for name in surplus:
            self._held.pop(name, None)
        wanted = [name for free, _ in shares for name in free]
        if wanted or self._member not in found:
            asked_s = asyncio.get_running_loop().time()
            self._hold(await self._leases.acquire([self._member, *wanted], self._holder, self._ttl_s), asked_s)
        if surplus:
            await self._leases.release(surplus, self._holder)

    def _share(self, names: Sequence[str], quota: int, found: Collection[str]) -> tuple[list[str], list[str]]:
        """Of a group's leases, free ones that are to be ours besides, and those of ours that are above the quota."""
        mine = [name for name in names if name in self._held]
        free = [name for name in names if name not in found]
        random.shuffle(free)
        return free[: max(0, quota - len(mine))], mine[quota:]

    def _hold(self, tokens: Mapping[str, int], asked_s: float) -> None:
        """Leases that are surely ours as long as they last from the moment when they were asked for."""
        self._time_s = asyncio.get_running_loop().time
        now_s = self._time_s()
        for name, acquired in self._acquired.items():
            if name in tokens:
                fence, before = Fence(name, tokens[name]), self._held.get(name)
                self._held[name] = fence, asked_s + self._ttl_s
                if before is None or before[0] != fence or before[1] <= now_s:
                    acquired()  # what was not surely ours missed its wakes

    async def _let_go(self) -> None:
        names, self._held = [*self._held, self._member], {}
        try:
            await self._leases.release(names, self._holder)
        except Transient as error:
            _log.warning("leases were not released; they expire", error=error.message)
