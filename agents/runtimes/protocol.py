"""The protocol of a runtime, and the data that crosses it."""

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

import msgspec


class Step(msgspec.Struct, frozen=True):
    """One container of the sequence. `script` is run by `/bin/sh`; `command` is an argv and excludes it."""

    name: str
    image: str
    script: str | None = None
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = {}


class Work(msgspec.Struct, frozen=True):
    """All that a runtime needs to run one attempt.

    `attempt` is unique in the whole system and a DNS label, so it names containers and directories. `env` holds what
    every step sees (`CHUNK_INDEX`, `CHUNK_COUNT`, …; the runtime adds `SHARED_DIR`). `work_ws` is the chunk's share of
    the job in watt-seconds (only the simulated runtime takes it as its duration). Limits of 0 mean none.
    """

    site: str
    edge: str
    attempt: str
    steps: tuple[Step, ...]
    env: Mapping[str, str]
    cpu: float = 0.0
    memory_bytes: int = 0
    power_w: float = 0.0
    work_ws: float = 0.0


StepPhase = Literal["running", "exited", "vanished"]


class StepState(msgspec.Struct, frozen=True):
    """What is known of one step that was started. Times are seconds since the epoch (UTC).

    `exited` has an `exit_code`; `vanished` has none: its engine or its shim lost it (killed, rebooted), so nobody can
    say how it ended. `reason` classifies an end beyond its exit code (see `reasons.py`).
    """

    phase: StepPhase
    started_s: float
    finished_s: float | None = None
    exit_code: int | None = None
    reason: str = ""
    message: str = ""


class Observed(msgspec.Struct, frozen=True):
    """An attempt as it is found at its engine: `steps[k]` is step k, in order, for as many as were started.

    `percent` is the runtime's own measure of the running step, 0 to 100, where it has one.
    """

    site: str
    edge: str
    attempt: str
    steps: tuple[StepState, ...]
    percent: float = 0.0


class Runtime(Protocol):
    """Starts, observes, stops and removes attempts. One instance serves every edge that the process hosts.

    All methods may be called again after any failure or restart: they look at what exists first.
    """

    @property
    def name(self) -> str:
        """`docker`, `process` or `simulated`: what the edge's inventory shows."""
        ...

    async def open(self, changed: Callable[[str], None]) -> None:
        """Connects to the engine. `changed(attempt)` is called, in the event loop, when an attempt may have changed by
        itself; who starts, stops or removes one looks at it anyway."""
        ...

    async def close(self) -> None:
        """Leaves the engine; what runs goes on."""
        ...

    async def discover(self) -> list[Observed]:
        """Everything at the engine that an agent of these edges ever made and nobody removed."""
        ...

    async def observe(self, attempt: str) -> Observed | None:
        """One attempt as it is now; None where nothing of it exists."""
        ...

    async def start_step(self, work: Work, index: int) -> None:
        """Starts step `index`. Twice is harmless. A step that cannot start (no such image, no shell) is observed as
        exited with a reason; only an engine that does not answer raises `Transient`.
        """
        ...

    async def stop(self, attempt: str, grace_s: float) -> None:
        """TERM, then KILL after `grace_s`; returns when nothing of the attempt runs. Unknown attempts are fine."""
        ...

    async def result(self, attempt: str) -> bytes | None:
        """`/shared/result.json` as it is, or None. Raises `Invalid` above `shared.RESULT_LIMIT_BYTES`."""
        ...

    async def remove(self, attempt: str) -> None:
        """Removes every trace of the attempt: containers, volume, directory."""
        ...
