"""Starting a step: unless the runtime refuses it, and once what it is given is here, and its lease where it needs one."""

from collections.abc import Callable

from agents.artifacts.carrier import Carrier
from agents.convergence import Desired, ReportEnd
from agents.leases import Leases
from agents.runtimes.protocol import Observed, Refusal, Runtime, Work
from agents.runtimes.reasons import UNSUPPORTED


class Starting:
    """Of one agent's attempts."""

    def __init__(self, runtime: Runtime, carrier: Carrier | None, leases: Leases | None = None) -> None:
        self._runtime = runtime
        self._carrier = carrier
        self._leases = leases

    async def run(self, changed: Callable[[str], None]) -> None:
        """Asks for leases until it is cancelled, where there are any."""
        if self._leases is not None:
            await self._leases.run(changed)

    def look(self, name: str, desired: Desired | None) -> None:
        """Notes what is wanted of an attempt."""
        if self._leases is not None:
            self._leases.look(name, desired)

    async def start(self, desired: Desired, observed: Observed | None, index: int) -> Observed | ReportEnd | None:
        """The attempt with its step started; its end where that never will be; None where something is prepared first, an image
        or inputs: then it is worth to start it again when there is news of the attempt."""
        work = desired.work
        refusal = self._runtime.refuses(work)
        if refusal is None and work.lease_s:
            ready = await self._leased(work)
            if ready is False:
                return None
            refusal = ready if isinstance(ready, Refusal) else None
        if refusal is None and index == 0 and self._carrier is not None:
            prepared = self._carrier.prepared(work)
            if prepared is None:
                return None
            if isinstance(prepared, Refusal):
                refusal = prepared
            else:
                work = prepared
        if refusal is not None:
            codes = tuple(step.exit_code or 0 for step in observed.steps) if observed is not None else ()
            return ReportEnd("failed", codes, refusal.reason, refusal.message)
        await self._runtime.start_step(work, index)
        found = await self._runtime.observe(work.attempt)
        if found is None or len(found.steps) <= index:
            return None
        if self._carrier is not None:
            self._carrier.begun(work.attempt)
        return found

    async def _leased(self, work: Work) -> bool | Refusal:
        if self._leases is None:
            return Refusal(UNSUPPORTED, "this agent asks for no leases, which an exclusive job needs")
        return await self._leases.ready(work)
