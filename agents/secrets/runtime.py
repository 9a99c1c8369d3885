"""A runtime that hands secrets to its attempts, and takes them out of all that is told of these."""

import asyncio
import time
from collections.abc import Callable

import msgspec
import structlog
from msgspec.structs import replace

from agents.runtimes.protocol import Given, LogPage, Observed, Refusal, Runtime, SharedFile, StepState, Work
from agents.runtimes.reasons import UNSUPPORTED
from agents.secrets.asking import ASKED_LIMIT, Asking
from agents.secrets.masks import patterns
from agents.secrets.pages import masked_page
from agents.secrets.redaction import Needles, masked
from agents.secrets.search import holds_any
from agents.secrets.strongbox import Held, Strongbox
from datamodel.errors import Invalid, Transient
from datamodel.scheduling.handover import Answer, Handed
from datamodel.scheduling.logs import Dropped

GIVING = frozenset({"docker", "kubernetes", "process"})
"""The runtimes that show a step what it is given."""
AT_ONCE = frozenset({"kubernetes"})
"""Those that start all steps with the first."""
_CANNOT_START_CODE = 125
_WITHHELD = "withheld"
"""The cursor behind a log that cannot be shown, since nobody knows any more what to take out of it."""
_PAGE_LIMIT_BYTES = 2**20
"""Of a page that seems to hold nothing but the beginning of a pattern: far above the longest."""
_log = structlog.get_logger("secrets")


class SecretRuntime:
    """It stands before another runtime. An attempt whose steps use no secret goes through as it is.

    Of one that does, the first step is prepared until the hub has answered: nothing is observed of it, and each `start_step`
    asks again. What the hub has handed over serves all its steps until it is removed, whatever becomes of the secrets.
    """

    def __init__(self, inner: Runtime, strongbox: Strongbox, asking: Asking) -> None:
        self._inner = inner
        self._strongbox = strongbox
        self._asking = asking
        self._changed: Callable[[str], None] = lambda _: None
        self._lack = ""
        self._waiting: dict[str, Work] = {}
        self._denied: dict[str, tuple[Work, StepState]] = {}
        self._needles: dict[str, Needles] = {}

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def keeps_output(self) -> bool:
        return self._inner.keeps_output

    @property
    def not_isolated(self) -> tuple[str, ...]:
        return self._inner.not_isolated

    @property
    def guards(self) -> bool:
        return self._inner.guards

    def refuses(self, work: Work) -> Refusal | None:
        if self._lack and _uses(work):
            return Refusal(UNSUPPORTED, f"this edge has no place for secrets: {self._lack}")
        return self._inner.refuses(work)

    async def open(self, changed: Callable[[str], None]) -> None:
        self._changed = changed
        if self.name in GIVING:
            self._lack = await asyncio.to_thread(self._strongbox.open)
        else:
            self._lack = f"the {self.name} runtime cannot give any"
        if self._lack:
            _log.warning("attempts that use secrets are refused", reason=self._lack)
        await self._inner.open(changed)
        await self._asking.listen(self._on_told)

    async def close(self) -> None:
        await self._inner.close()
        if not self._lack:
            await asyncio.to_thread(self._strongbox.close)

    async def check(self) -> None:
        await self._inner.check()

    async def discover(self) -> list[Observed]:
        """With those that have nothing yet, or any more, but their values."""
        found = await self._inner.discover()
        known = {one.attempt for one in found}
        left = [] if self._lack else await asyncio.to_thread(self._strongbox.attempts)
        others = [await self.observe(attempt) for attempt in left if attempt not in known]
        return found + [one for one in others if one is not None]

    async def observe(self, attempt: str) -> Observed | None:
        found = await self._inner.observe(attempt)
        if attempt in self._denied:
            work, end = self._denied[attempt]
            found = found or Observed.of(work)
            return replace(found, steps=(*found.steps, end))
        if not self._had(attempt):
            return found
        if found is None:
            held = await asyncio.to_thread(self._strongbox.get, attempt)
            return Observed(held.site, held.edge, attempt, ()) if held is not None else Observed("", "", attempt, ())
        hidden = await self._hidden(attempt)
        return replace(found, steps=tuple(_without(step, hidden) for step in found.steps))

    async def start_step(self, work: Work, index: int) -> None:
        if not _uses(work):
            await self._inner.start_step(work, index)
            return
        if work.attempt in self._denied:
            return
        try:
            given = await asyncio.to_thread(self._given, work, index)
        except OSError as error:
            raise Transient(f"{work.attempt}: its secrets cannot be kept: {error.strerror}") from None
        if given is None:
            await self._ask(work)
        else:
            await self._inner.start_step(replace(work, given=given), index)

    async def lease(self, attempt: str, until_s: float) -> None:
        await self._inner.lease(attempt, until_s)

    async def stop(self, attempt: str, grace_s: float) -> None:
        await self._inner.stop(attempt, grace_s)

    async def result(self, attempt: str) -> bytes | None:
        """Raises `Invalid` too where a value stands in the result: what is stored and shown to people must have none."""
        result = await self._inner.result(attempt)
        if result is None or not self._had(attempt):
            return result
        hidden = await self._hidden(attempt)
        if hidden is None:
            raise Invalid(
                "the host has forgotten the attempt's secrets: nobody can look for them in /shared/result.json"
            )
        if any(hidden.spans(text) for text in _spellings(result)):
            raise Invalid("/shared/result.json holds the value of a secret")
        return result

    async def open_file(self, attempt: str, path: str) -> SharedFile | None:
        """Raises `Invalid` too where a value stands in the file, before anything of it can be sent anywhere."""
        file = await self._inner.open_file(attempt, path)
        if file is None or not self._had(attempt):
            return file
        hidden = await self._hidden(attempt)
        try:
            if hidden is None:
                raise Invalid(
                    f"the host has forgotten the attempt's secrets: nobody can look for them in /shared/{path}"
                )
            if await holds_any(file, hidden):
                raise Invalid(f"/shared/{path} holds the value of a secret")
        finally:
            await file.close()
        return await self._inner.open_file(attempt, path)

    async def logs(self, attempt: str, index: int, after: str, limit_bytes: int) -> LogPage:
        if not self._had(attempt):
            return await self._inner.logs(attempt, index, after, limit_bytes)
        hidden = await self._hidden(attempt)
        if hidden is None:
            gap = (Dropped(index, None),) if after != _WITHHELD else ()
            return LogPage(after, gap, (_WITHHELD,) * len(gap))
        observed = await self._inner.observe(attempt)  # before the log: what has ended then is read whole
        steps = observed.steps if observed is not None else ()
        final = index >= len(steps) or steps[index].phase != "running"
        while True:
            page = await self._inner.logs(attempt, index, after, limit_bytes)
            last = (final and not page.more) or limit_bytes >= _PAGE_LIMIT_BYTES
            shown = await asyncio.to_thread(masked_page, page, hidden, final=last)
            if shown.parts or not page.more:
                return shown
            limit_bytes *= 2  # nothing but the beginning of a pattern fits

    async def remove(self, attempt: str) -> None:
        await self._inner.remove(attempt)
        self._asking.forget(attempt)
        self._waiting.pop(attempt, None)
        self._denied.pop(attempt, None)
        self._needles.pop(attempt, None)
        if self._had(attempt):
            await asyncio.to_thread(self._strongbox.remove, attempt)

    def _on_told(self, attempt: str, told: Handed | Answer) -> None:
        work = self._waiting.pop(attempt, None)
        if work is None:
            return
        if isinstance(told, Answer):
            now_s = time.time()
            end = StepState("exited", now_s, now_s, _CANNOT_START_CODE, told.reason, told.message)
            self._denied[attempt] = (work, end)
        else:
            try:
                self._strongbox.put(attempt, Held(work.site, work.edge, told.secrets))
            except OSError as error:  # it is asked for again
                _log.warning("secrets cannot be kept", attempt=attempt, error=error.strerror)
                return
        self._changed(attempt)

    async def _ask(self, work: Work) -> None:
        self._waiting[work.attempt] = work
        if len(self._waiting) > ASKED_LIMIT:
            del self._waiting[next(iter(self._waiting))]
        await self._asking.ask(work.edge, work.attempt)

    def _given(self, work: Work, index: int) -> dict[int, Given] | None:
        """What the steps that begin with step `index` are given; None where the attempt's values are not here. Blocks."""
        held = self._strongbox.get(work.attempt)
        if held is None:
            return None
        steps = range(index, len(work.steps)) if self.name in AT_ONCE else (index,)
        masked = patterns(_values(held))
        return {step: self._given_to(work, step, held, masked) for step in steps}

    def _given_to(self, work: Work, index: int, held: Held, masked: tuple[bytes, ...]) -> Given:
        uses = [(use, held.secrets[use.secret][use.key]) for use in work.steps[index].secrets]
        files = {use.file: value for use, value in uses if use.file}
        return Given(
            env={use.env: value for use, value in uses if use.env},
            files=self._strongbox.show(work.attempt, index, files) if files else "",
            masked=masked,
        )

    async def _hidden(self, attempt: str) -> Needles | None:
        """What is to be taken out of all that is told of an attempt that had secrets; None where nobody knows any more."""
        if attempt not in self._needles:
            held = await asyncio.to_thread(self._strongbox.get, attempt)
            if held is None:
                return None
            self._needles[attempt] = await asyncio.to_thread(_needles, held)
        return self._needles[attempt]

    def _had(self, attempt: str) -> bool:
        return not self._lack and self._strongbox.had(attempt)


def _uses(work: Work) -> bool:
    return any(step.secrets for step in work.steps)


def _needles(held: Held) -> Needles:
    return Needles(patterns(_values(held)))


def _values(held: Held) -> list[str]:
    return sorted({value for of in held.secrets.values() for value in of.values()})


def _without(step: StepState, hidden: Needles | None) -> StepState:
    """With a message that may be told."""
    if not step.message:
        return step
    if hidden is None:
        return replace(step, message="")
    return replace(step, message=masked(step.message.encode(), hidden).decode(errors="replace"))


def _spellings(result: bytes) -> list[bytes]:
    """The result as it is, and without the escapes that JSON allows for any letter."""
    try:
        return [result, msgspec.json.encode(msgspec.json.decode(result))]
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return [result]
