"""What a replica believes to hold: nothing whose lease is over by its own clock."""

import asyncio
from collections.abc import Callable, Mapping

from reconcilers.runtime.shards import Shards
from sim.world.process import Process


class Beliefs:
    """Of one boot of a replica. `leases`: by name, until when each is surely its, by its own clock."""

    def __init__(
        self, process: Process, shards: Shards, leases: Mapping[str, float], complain: Callable[[str], None]
    ) -> None:
        self._process, self._shards, self._leases, self._complain = process, shards, leases, complain
        self._boot = process.boot
        self._watched = False

    def watch(self) -> None:
        """Looks when the next one is over, unless it is renewed by then."""
        if self._watched:
            return
        now_s = asyncio.get_running_loop().time()
        ends_s = [until_s for until_s in self._leases.values() if until_s > now_s]
        if ends_s:
            self._watched = True
            self._process.universe.after(min(ends_s) - now_s, self._process.deliver, self._check)

    def _check(self) -> None:
        """Has the program say what it believes to hold, whenever a lease is over by its own clock: not that one."""
        if self._boot != self._process.boot:
            return
        now_s = asyncio.get_running_loop().time()
        for lease, until_s in self._leases.items():
            if now_s >= until_s and self._shards.fence(lease) is not None:
                self._complain(f"{self._process.name} believes to hold {lease}, {now_s - until_s:.3f} s after its end")
        self._watched = False
        self.watch()
