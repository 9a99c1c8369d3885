"""Starting a step: unless the runtime refuses it, and once what it is given is here."""

from agents.artifacts.carrier import Carrier
from agents.convergence import Desired, ReportEnd
from agents.runtimes.protocol import Observed, Refusal, Runtime


class Starting:
    """Of one agent's attempts."""

    def __init__(self, runtime: Runtime, carrier: Carrier | None) -> None:
        self._runtime = runtime
        self._carrier = carrier

    async def start(self, desired: Desired, observed: Observed | None, index: int) -> Observed | ReportEnd | None:
        """The attempt with its step started; its end where that never will be; None where something is prepared first, an image
        or inputs: then it is worth to start it again when there is news of the attempt."""
        work = desired.work
        refusal = self._runtime.refuses(work)
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
