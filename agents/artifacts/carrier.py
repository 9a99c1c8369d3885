"""What attempts are given before their first step and leave after their last, as the agent's loop knows it."""

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from agents.artifacts.cache import Cache
from agents.artifacts.deciding import end_of
from agents.artifacts.errands import HOLD_S, Errands
from agents.artifacts.fetching import Fetcher
from agents.artifacts.sending import LIMIT_BYTES, Sender
from agents.convergence import Desired, ReportEnd
from agents.runtimes.protocol import Input, Refusal, Runtime, Work
from agents.runtimes.reasons import ARTIFACT_NOT_SENT, INPUT_NOT_FETCHED
from datamodel.artifacts.ports import Pieces
from datamodel.scheduling.wire import KeptArtifact


class Carrier:
    """Of one agent."""

    def __init__(
        self,
        runtime: Runtime,
        pieces: Pieces,
        cache: Cache,
        *,
        limit_bytes: int = LIMIT_BYTES,
        hold_s: float = HOLD_S,
    ) -> None:
        """`limit_bytes`: the most that an attempt leaves. `hold_s`: how long it waits for its files at most."""
        self._sender = Sender(runtime, pieces, limit_bytes=limit_bytes)
        self._sending = Errands[tuple[KeptArtifact, ...]](self._sender.send, late=ARTIFACT_NOT_SENT, hold_s=hold_s)
        self._fetcher = Fetcher(pieces, cache)
        self._fetching = Errands[tuple[Input, ...]](self._fetcher.fetch, late=INPUT_NOT_FETCHED, hold_s=hold_s)

    async def run(self, changed: Callable[[str], None]) -> None:
        """Carries until it is cancelled. `changed(attempt)` is called when there is news of one."""
        self._sending.over = self._fetching.over = changed
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sending.run(), name="artifacts")
            group.create_task(self._fetching.run(), name="inputs")

    def prepared(self, work: Work) -> Work | Refusal | None:
        """The work with all that it is given; why it never will be, None where that is still under way."""
        if not work.inputs:
            return work
        found = self._fetching.outcome(work)
        return replace(work, inputs=found) if isinstance(found, tuple) else found

    def begun(self, attempt: str) -> None:
        """Its first step has started: the runtime has what it was given."""
        self._fetching.forget(attempt)
        self._fetcher.release(attempt)

    def ended(self, desired: Desired, end: ReportEnd) -> ReportEnd | None:
        """How an attempt whose steps came to `end` has ended; None where that is not known before all that it leaves is at the
        hub, or will never be."""
        if end.phase != "succeeded" or not desired.work.artifacts:
            return end
        return end_of(end, desired.intent, self._sending.outcome(desired.work))

    def forget(self, attempt: str) -> None:
        """Its end is told, or nobody wants it."""
        self._sending.forget(attempt)
        self._sender.forget(attempt)
        self.begun(attempt)
