"""A site's agent is cloned: two of one name and one outbox, each with a network and processes of its own."""

import asyncio
import shutil
from dataclasses import replace
from signal import SIGCONT, SIGKILL, SIGSTOP

from sim.chaos.faults.fault import Fault, NotBittenError, System
from sim.chaos.faults.hosts import restarted
from sim.chaos.faults.work import Work, begun
from sim.chaos.machine import until
from sim.chaos.sites.network import Line, Namespace
from sim.chaos.sites.site import AGENT, EDGE, NAMES, SLOTS, Site

NAPS_S = [2.0, 2.0]
KNOWN_TIMEOUT_S = 30.0
ALONE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
"""A clone on another host finds none of the processes that its disk tells of."""
_FENCED = b"is believed in its place"


class ClonedAgent(Fault):
    """The clone is believed, having been started last; then it is ended, and the first is started again."""

    name = "clone-agent"
    needs_sites = True

    def __init__(self) -> None:
        self._site: Site | None = None
        self._work: Work | None = None
        self._clone: Site | None = None
        self._namespace: Namespace | None = None
        self._known = ""

    async def inject(self, system: System) -> None:
        self._site = site = system.sites[system.random.choice(NAMES[:-1])]
        self._work = await begun(system, site, 3 * SLOTS, NAPS_S)
        self._known = ""
        self._namespace = Namespace()
        line = Line.laid(self._namespace)
        system.cloned.add(site.name)
        system.places[self._namespace.place] = site.name
        home = site.home.with_name(f"clone-{len(list(site.home.parent.iterdir()))}")
        self._clone = clone = replace(site, line=line, home=home)
        await asyncio.to_thread(_copy, site, clone)
        said = site.log.stat().st_size
        child = replace(clone.agent((*ALONE, *AGENT)), name=f"{site.name}-clone", stop_signals=(SIGKILL,))
        site.supervisor.launch(child)

        async def known() -> bool:
            answer = await system.machine.ask("GET", f"/v1/edges/{site.name}/{EDGE}")
            self._known = (answer.json()["status"].get("clone") or {}).get("host", "")
            return bool(self._known) and _FENCED in site.log.read_bytes()[said:]

        await until(known, timeout_s=KNOWN_TIMEOUT_S)
        await asyncio.sleep(system.hold_s / 3)

    async def heal(self, system: System) -> None:
        del system
        if self._site is None or self._clone is None or self._namespace is None:
            return
        await self._site.supervisor.end(f"{self._site.name}-clone")
        self._namespace.close()
        former = self._site.process()
        former.send_signal(SIGKILL)
        await restarted(self._site, former)
        self._clone = self._namespace = None

    async def bitten(self, system: System) -> str:
        del system
        assert self._work is not None, "it was injected"
        if not self._known:
            raise NotBittenError("nobody was told of a clone")
        await self._work.ended()
        lines = self._work.lines
        ran = len({(line.attempt, line.place) for line in lines})
        places = len({line.place for line in lines})
        return f"{self._work.site.name}: not believed is {self._known}; {ran} runs at {places} hosts for {3 * SLOTS} chunks"


def _copy(site: Site, clone: Site) -> None:
    """As a disk is copied of a machine that stands still meanwhile."""
    agent = site.process()
    agent.send_signal(SIGSTOP)
    try:
        shutil.copytree(site.home, clone.home, symlinks=True)
    finally:
        agent.send_signal(SIGCONT)
    for path in site.home.rglob("*"):
        owner = path.lstat()
        copy = clone.home / path.relative_to(site.home)
        if copy.exists() and not copy.is_symlink():
            shutil.chown(copy, owner.st_uid, owner.st_gid)
