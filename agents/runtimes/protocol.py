"""The protocol of a runtime, and the data that crosses it."""

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

import msgspec

from datamodel.scheduling.logs import Part

PullPolicy = Literal["Always", "IfNotPresent", "Never"]

SHELL = ("/bin/sh", "-c")


class SecretUse(msgspec.Struct, frozen=True):
    """One value of a secret, in a variable or in a file; the other of them is empty."""

    secret: str
    key: str
    env: str = ""
    file: str = ""


class Step(msgspec.Struct, frozen=True, rename="camel"):
    """One container of the sequence. `script` is appended to `shell`; `command` is an argv and excludes it. `user` is
    `uid` or `uid:gid`; empty, the runtime chooses one that is not root. `continue_on_error`: the sequence goes on whatever the
    exit code is, and else where that is among `ignored`; a runtime has to know it only where it starts the steps by itself.
    """

    name: str
    image: str
    script: str | None = None
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    pull_policy: PullPolicy = "IfNotPresent"
    shell: tuple[str, ...] = SHELL
    user: str = ""
    read_only_root: bool = True
    secrets: tuple[SecretUse, ...] = ()
    continue_on_error: bool = False
    ignored: tuple[int, ...] = ()

    def goes_on_after(self, exit_code: int | None) -> bool:
        """Whether the sequence goes on once the step has ended so."""
        return exit_code == 0 or self.continue_on_error or exit_code in self.ignored


class Gpus(msgspec.Struct, frozen=True):
    """What each step is given of them. `driver` is the engine's name for whose they are."""

    count: int = 1
    driver: str = "nvidia"


GRACE_S = 10.0
"""Between TERM and KILL, where the job says nothing."""


class Limits(msgspec.Struct, frozen=True, rename="camel"):
    """What an attempt is ended by, or can take no more of; 0 where the job says nothing.

    `timeout_s` is the agent's to watch, for every runtime; `grace_s` is between TERM and KILL;
    `swap_bytes` is beside the memory, and 0 of it is none. `artifacts_bytes`: of all artifacts together; None where the job
    says nothing, since none at all may be meant.
    """

    timeout_s: float = 0.0
    grace_s: float = GRACE_S
    pids: int = 0
    tmp_bytes: int = 0
    swap_bytes: int = 0
    artifacts_bytes: int | None = None


class Artifact(msgspec.Struct, frozen=True, rename="camel"):
    """A file that the steps leave in `/shared`, for the agent to bring to the hub."""

    name: str
    path: str
    max_bytes: int | None = None


class Input(msgspec.Struct, frozen=True):
    """A file that the steps find below `/shared/inputs`. `source` is where it is on this host, whole and checked, once the
    agent has it: a runtime puts it in its place before the first step."""

    key: str
    bytes: int
    sha256: str
    path: str
    source: str = ""


class Given(msgspec.Struct, frozen=True):
    """The secrets of one step, which are nobody else's business: they go into no file, no label and no log.

    `env` are variables beside the step's own, `files` is a directory on this host that is shown at `/run/secrets` (empty:
    none), `masked` are bytes that are taken out of what the step writes, where that is possible before they lie on a disk.
    """

    env: Mapping[str, str] = {}
    files: str = ""
    masked: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        return "Given()"


_NOTHING = Given()


class Work(msgspec.Struct, frozen=True):
    """All that a runtime needs to run one attempt.

    `attempt` is unique in the whole system and a DNS label, so it names containers and directories. `env` holds what
    every step sees (`CHUNK_INDEX`, `CHUNK_COUNT`, …; the runtime adds `SHARED_DIR`). `work_ws` is the chunk's share of
    the job in watt-seconds (only the simulated runtime takes it as its duration). Limits of 0 mean none. `given` is of
    the steps that are being started, by their numbers: of one, or of all where the engine goes from one to the next. `labels`
    and `annotations` are the job's, for an engine of whose workloads other programs know by theirs. `uid` is that of the node
    that asks for it, and is kept with what is made at the engine. With `lease_s`, it runs only under a lease of the hub's.
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
    gpus: Gpus | None = None
    limits: Limits = Limits()
    network: str = "none"
    given: Mapping[int, Given] = {}
    artifacts: tuple[Artifact, ...] = ()
    inputs: tuple[Input, ...] = ()
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    uid: str = ""
    lease_s: float = 0.0

    def given_to(self, index: int) -> Given:
        """The secrets of a step that is being started."""
        return self.given.get(index, _NOTHING)


class Refusal(msgspec.Struct, frozen=True):
    """Why a runtime will not begin something: `reason` as in `reasons.py`, `message` for who wrote the job."""

    reason: str
    message: str


StepPhase = Literal["running", "exited", "vanished"]


class StepState(msgspec.Struct, frozen=True):
    """What is known of one step that was started. Times are seconds since the epoch (UTC).

    `exited` has an `exit_code`; `vanished` has none: its engine or its shim lost it (killed, rebooted), so nobody can
    say how it ended. `reason` classifies an end beyond its exit code (see `reasons.py`). `is_cut`: the end of what it wrote may
    be missing, and `Runtime.logs` cannot tell; so may that of one that `vanished`.
    """

    phase: StepPhase
    started_s: float
    finished_s: float | None = None
    exit_code: int | None = None
    reason: str = ""
    message: str = ""
    is_cut: bool = False


class Observed(msgspec.Struct, frozen=True):
    """An attempt as it is found at its engine: `steps[k]` is step k, in order, for as many as were started.

    `percent` is the runtime's own measure of the running step, 0 to 100, which grows without a word; None where it has none.
    `uid` is that of the work which it was made for; empty where nobody can say.
    """

    site: str
    edge: str
    attempt: str
    steps: tuple[StepState, ...]
    percent: float | None = None
    uid: str = ""

    @classmethod
    def of(cls, work: Work, steps: tuple[StepState, ...] = (), percent: float | None = None) -> "Observed":
        """What was made for some work."""
        return cls(work.site, work.edge, work.attempt, steps, percent, work.uid)


class LogPage(msgspec.Struct, frozen=True):
    """Some of what a step wrote behind the cursor `after`, in the order in which it was kept; `cursors[k]` is the one behind
    `parts[k]`. `more` says that there is more already."""

    after: str
    parts: tuple[Part, ...] = ()
    cursors: tuple[str, ...] = ()
    more: bool = False

    @property
    def cursor(self) -> str:
        """Behind all of it."""
        return self.cursors[-1] if self.cursors else self.after


class SharedFile(Protocol):
    """A file that the steps of an attempt have left, opened. Nothing of it changes any more."""

    @property
    def size_bytes(self) -> int: ...

    async def read(self, limit_bytes: int) -> bytes:
        """What follows, in order: empty at the end, else at most so much. Raises `Transient`."""
        ...

    async def close(self) -> None: ...


class Runtime(Protocol):
    """Starts, observes, stops and removes attempts. One instance serves every edge that the process hosts.

    All methods may be called again after any failure or restart: they look at what exists first.
    """

    @property
    def name(self) -> str:
        """`docker`, `kubernetes`, `process` or `simulated`: what the edge's inventory shows."""
        ...

    def refuses(self, work: Work) -> Refusal | None:
        """Why this runtime would never run it, whatever its engine has: the operator forbids it, or it cannot be given
        here. None where nothing speaks against a start. Asks no engine."""
        ...

    @property
    def keeps_output(self) -> bool:
        """Whether its steps write anything that `logs` could tell."""
        ...

    @property
    def not_isolated(self) -> tuple[str, ...]:
        """What steps have in common with their host beyond its kernel, in words for people. Known once it is open."""
        ...

    @property
    def guards(self) -> bool:
        """Whether it can end what has a lease without its agent."""
        ...

    async def open(self, changed: Callable[[str], None]) -> None:
        """Connects to the engine. `changed(attempt)` is called, in the event loop, when an attempt may have changed by
        itself; who starts, stops or removes one looks at it anyway."""
        ...

    async def close(self) -> None:
        """Leaves the engine; what runs goes on."""
        ...

    async def check(self) -> None:
        """Returns within seconds where attempts can be started now, as far as the engine goes; else raises `Transient`."""
        ...

    async def discover(self) -> list[Observed]:
        """Everything at the engine that an agent of these edges ever made and nobody removed."""
        ...

    async def observe(self, attempt: str) -> Observed | None:
        """One attempt as it is now; None where nothing of it exists."""
        ...

    async def start_step(self, work: Work, index: int) -> None:
        """Starts step `index`. Twice is harmless. A step that cannot start (no such image, no shell) is observed as
        exited with a reason; only an engine that does not answer raises `Transient`. Where nothing is observed of the
        step yet (its image is being pulled), `changed` says when it is worth to start it again.
        """
        ...

    async def lease(self, attempt: str, until_s: float) -> None:
        """Lets an attempt run until a time of CLOCK_BOOTTIME and no longer, from before its first step on: then it is killed,
        whether or not an agent is there, and observed as exited with `LEASE_OVER`. Said again, the later time holds. Only
        where it `guards`. Raises `Transient`."""
        ...

    async def stop(self, attempt: str, grace_s: float) -> None:
        """TERM, then KILL after `grace_s`; returns when nothing of the attempt runs. Unknown attempts are fine."""
        ...

    async def result(self, attempt: str) -> bytes | None:
        """`/shared/result.json` as the last step left it, or None. Raises `Invalid` above `shared.RESULT_LIMIT_BYTES`."""
        ...

    async def open_file(self, attempt: str, path: str) -> SharedFile | None:
        """A file in `/shared` of an attempt that declares artifacts and whose steps have ended, by its path below; None where
        nothing is there. Raises `Invalid` where that is no regular file, or is reached by way of a link."""
        ...

    async def logs(self, attempt: str, index: int, after: str, limit_bytes: int) -> LogPage:
        """What step `index` wrote behind a cursor (empty: from the beginning), about `limit_bytes` at most, and a record at
        least where there is one. The same cursor gives the same again and what came since, also to another instance. What
        was dropped stands in its place. Of unknown attempts and steps there is nothing."""
        ...

    async def remove(self, attempt: str) -> None:
        """Removes every trace of the attempt: containers, volume, directory."""
        ...
