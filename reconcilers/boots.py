"""Which start of each agent is believed: the newest that has told the hub which one it follows.

What is held is a mark, `SITE/AGENT`, beside those of the agent's outboxes. Whoever settles reports of an agent has its shard's
lease, and whoever moves the mark needs that lease too: so a mark that was read under a lease stands for as long as that lease
is held, and no report is settled of a start that is not the newest when it is.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from datamodel.appender import Appender
from datamodel.cause import MESSAGE
from datamodel.command import Actor, Advance, Command, Fence, Unit
from datamodel.kinds import SYSTEM, Document
from datamodel.ports import Store
from datamodel.scheduling import wire
from datamodel.scheduling.edges import inventory_path
from datamodel.scheduling.windows import Window

LATE_S = 5.0
"""What an agent sent before it ended may come so long after the next one began; what comes later, a clone has sent."""
GONE_S = 60.0
"""A clone that is silent for so long is taken for gone: one that is there says so every ten seconds."""
HELD_LIMIT = 20_000
ACTOR = Actor("ingest", SYSTEM)
_log = structlog.get_logger("boots")


def utc_now() -> datetime:
    return datetime.now(UTC)


class Boots:
    """Of the agents that one replica takes in. All may raise what an append does."""

    def __init__(self, store: Store, appender: Appender, clock: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._appender = appender
        self._clock = clock
        self._held: dict[str, tuple[Fence, int, float]] = {}
        """By agent, under which lease its newest boot was read, which it is, and since when."""
        self._clones: dict[str, float] = {}
        """By agent, when a clone of it was heard last."""

    async def newest(self, key: str, fence: Fence) -> int:
        """The newest start of an agent; 0 where none has ever told of one."""
        held = self._held.get(key)
        if held is None or held[0] != fence:
            boot = (await self._store.marks([key])).get(key, 0)
            held = self._hold(key, fence, boot)
        return held[1]

    async def admits(self, key: str, window: wire.Window, fence: Fence) -> bool:
        """Whether the reports of a window are taken in: those of the newest start, which this one may have become just now. A
        version of the wire that knows no starts has no clones."""
        if not isinstance(window, Window):
            return True
        newest = await self.newest(key, fence)
        if window.boot == newest != 0:
            return True
        if window.boot > newest == window.after:
            await self._follow(key, newest, window, fence)
            return True
        await self._refuse(key, newest, window, fence)
        return False

    def stands(self, key: str, newest: int, fence: Fence) -> None:
        """What the mark was found to say: once an older state of the database is put back, it is not what is held of it."""
        held = self._held.get(key)
        if held is not None and held[1] != newest:
            _log.warning("an older state of the database says that another start of an agent is its newest", agent=key)
            self._hold(key, fence, newest)

    async def recheck(self, key: str, fence: Fence) -> float | None:
        """Whether a clone is gone; in how many seconds to look again, where it is not."""
        heard_s = self._clones.get(key)
        if heard_s is None:
            return None
        left_s = heard_s + GONE_S - asyncio.get_running_loop().time()
        if left_s <= 0:
            del self._clones[key]
            await self._show(key, None, fence)
            return None
        return left_s

    async def _follow(self, key: str, newest: int, window: Window, fence: Fence) -> None:
        self._held.pop(key, None)  # unknown until this is committed
        await self._appender.append(
            Unit((), ACTOR, cause=MESSAGE, fence=fence, advance=Advance(key, newest, window.boot))
        )
        self._hold(key, fence, window.boot)
        self._clones.pop(key, None)
        await self._show(key, None, fence)
        _log.info("an agent was started", agent=key, boot=window.boot, after=newest, host=window.host)

    async def _refuse(self, key: str, newest: int, window: Window, fence: Fence) -> None:
        now_s = asyncio.get_running_loop().time()
        if window.boot >= newest or now_s - self._held[key][2] < LATE_S:
            return  # it begins, and is told what it follows; or it may be gone
        is_new = key not in self._clones
        self._clones[key] = now_s
        if is_new:
            _log.warning(
                "an agent runs twice; the one that was started first is not believed",
                agent=key,
                host=window.host,
                boot=window.boot,
                newer=newest,
            )
            await self._show(key, {"since": self._clock().isoformat(), "host": window.host}, fence)

    async def _show(self, key: str, clone: Document | None, fence: Fence) -> None:
        """To operators, at the agent's edge, or at the first of its group."""
        site, _, agent = key.partition("/")
        paths = [inventory_path(site, edge) for edge in (agent, f"{agent}-0")]
        for path, edge in (await self._store.nodes(paths)).items():
            if edge.spec["agent"] == agent and (clone is not None or "clone" in edge.status):
                command = Command("patchStatus", path, {"clone": clone})
                await self._appender.write(Unit((command,), ACTOR, cause=MESSAGE, fence=fence))

    def _hold(self, key: str, fence: Fence, boot: int) -> tuple[Fence, int, float]:
        if len(self._held) >= HELD_LIMIT:
            self._held.clear()
        held = self._held[key] = fence, boot, asyncio.get_running_loop().time()
        return held
