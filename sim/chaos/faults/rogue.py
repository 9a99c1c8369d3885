"""An agent that was enrolled like any other tries to be another one, while everything runs."""

import asyncio
import sys

import msgspec

from datamodel.errors import Transient
from sim.chaos.faults.fault import Fault, NotBittenError, System
from sim.chaos.sites.rogue import Tries
from sim.chaos.sites.site import EDGE, NAMES, enrolling

NAME = "rogue"
TIMEOUT_S = 60.0
_REFUSED, _QUARANTINED = '"a message is refused"', '"a report is quarantined"'


class Rogue(Fault):
    """It publishes, acknowledges, purges, subscribes and forges. All is refused, and each refusal is logged."""

    name = "rogue-agent"
    needs_sites = True

    def __init__(self) -> None:
        self._tries: Tries | None = None
        self._logged = ""

    async def inject(self, system: System) -> None:
        self._tries = None
        own, other = system.random.sample(NAMES[:-1], 2)
        site = system.sites[own]
        creds = site.home.with_name(f"{NAME}.creds")
        await enrolling(system.machine, site.supervisor, "enroll", f"{own}/{NAME}", f"--out={creds}")
        logs = [system.machine.home / "logs" / f"{program}.log" for program in ("nats", "reconcilers")]
        said = [log.stat().st_size for log in logs]
        program = (sys.executable, "-m", "sim.chaos.sites.rogue", f"{other}/{EDGE}", str(await system.beneath.epoch()))
        child = site.child(program, EDGE_NAME=NAME, EDGE_CREDS=str(creds))
        process = await asyncio.create_subprocess_exec(
            *child.argv, env=child.env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        told, complaint = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
        if process.returncode:
            raise Transient(f"the rogue could not try: {complaint.decode(errors='replace')[-500:]}")
        self._tries = msgspec.json.decode(told, type=Tries)
        self._logged = "".join(
            log.read_bytes()[since:].decode(errors="replace") for log, since in zip(logs, said, strict=True)
        )

    async def bitten(self, system: System) -> str:
        del system
        if self._tries is None:
            raise NotBittenError("it has tried nothing")
        if self._tries.through:
            raise NotBittenError(f"let through: {', '.join(self._tries.through)}")
        if unlogged := [subject for subject in self._tries.subjects if f'Subject "{subject}"' not in self._logged]:
            raise NotBittenError(f"refused and not logged: {', '.join(unlogged)}")
        logged = self._logged.count(_REFUSED) + self._logged.count(_QUARANTINED)
        if logged < self._tries.forged:
            raise NotBittenError(f"{logged} of {self._tries.forged} forgeries were logged")
        return f"{len(self._tries.subjects)} subjects and {self._tries.forged} forgeries tried, all refused and logged"
