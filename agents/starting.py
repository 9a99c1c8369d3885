"""Starting a step: unless the runtime refuses it, and once what it is given is here, and its lease where it needs one."""

from collections.abc import Callable

from agents.artifacts.carrier import Carrier
from agents.convergence import Action, Desired, ReportEnd, StartStep
from agents.leases import Leases
from agents.outbox import Outbox
from agents.runtimes.protocol import Observed, Refusal, Runtime, Work
from agents.runtimes.reasons import UNSUPPORTED

RETRY_S = (0.4, 10.0)


class Starting:
    """Of one agent's attempts."""

    def __init__(self, runtime: Runtime, outbox: Outbox, carrier: Carrier | None, leases: Leases | None = None) -> None:
        self._runtime = runtime
        self._outbox = outbox
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

    def forget(self, name: str) -> None:
        """Nothing of an attempt is here or wanted."""
        self.look(name, None)
        if self._carrier is not None:
            self._carrier.forget(name)

    def hold_s(self, desired: Desired | None, observed: Observed | None, action: Action) -> float:
        """In how many seconds to look again before this is done; 0 where it is done now."""
        if desired is None or (observed is not None and observed.steps):
            return 0.0
        if isinstance(action, StartStep) and (self._outbox.trouble or self._outbox.owes):
            return RETRY_S[bool(self._outbox.trouble)]
        if self._leases is None or not isinstance(action, StartStep | ReportEnd):
            return 0.0
        return min(RETRY_S[1], self._leases.rest_s(desired.work))

    def may_run(self, work: Work) -> bool:
        """Whether something of it may run at an engine that does not answer, and none of it must elsewhere."""
        return bool(work.lease_s) and self._leases is not None and self._leases.may_run(work)

    async def start(self, desired: Desired, observed: Observed | None, index: int) -> Observed | ReportEnd | None:
        """The attempt with its step started; its end where that never will be; None where something is prepared first, an image
        or inputs: then it is worth to start it again when there is news of the attempt."""
        work = desired.work
        refusal = self._runtime.refuses(work)
        if refusal is None and work.lease_s:
            ready = self._leased(work)
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

    def _leased(self, work: Work) -> bool | Refusal:
        if self._leases is None:
            return Refusal(UNSUPPORTED, "this agent asks for no leases, which an exclusive job needs")
        return self._leases.ready(work)
