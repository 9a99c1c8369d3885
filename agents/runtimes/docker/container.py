"""A step as a container: what it is made of, and what the engine's account of it means. Pure."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from docker.types import DeviceRequest, LogConfig, Mount, Ulimit
from msgspec.structs import replace

from agents.runtimes.docker.complaints import last_complaint, reason_of_refusal
from agents.runtimes.policy import Policy
from agents.runtimes.protocol import Observed, Step, StepState, Work
from agents.runtimes.reasons import CANNOT_START, DISK_FULL, OOM_KILLED, SHELL_MISSING
from agents.runtimes.shared import SECRETS, SECRETS_VARIABLE, SHARED, SHARED_VARIABLE
from datamodel.scheduling.steps import STEPS_LIMIT

SITE_LABEL = "tendril.site"
EDGE_LABEL = "tendril.edge"
ATTEMPT_LABEL = "tendril.attempt"
UID_LABEL = "tendril.uid"
STEP_LABEL = "tendril.step"
INDEX_LABEL = "tendril.index"
SHELL_LABEL = "tendril.shell"
"""The shell of a step that has a script: whoever finds the container knows by it what an init could not run."""

_INDICES = frozenset(map(str, range(STEPS_LIMIT)))

_LOG_FILES = 4
"""The engine drops one of them at a time: it keeps three quarters at least of what it may, and see `logs.py`."""


def volume_name(attempt: str) -> str:
    return f"tendril-{attempt}"


def container_name(attempt: str, step: str) -> str:
    return f"tendril-{attempt}-{step}"


def labels(work: Work) -> dict[str, str]:
    return {SITE_LABEL: work.site, EDGE_LABEL: work.edge, ATTEMPT_LABEL: work.attempt, UID_LABEL: work.uid}


def attempt_in(labels: Mapping[str, str] | None, edges: Collection[str]) -> str | None:
    """The attempt of one of these edges that something belongs to by its labels, None where there is none: at an engine,
    anybody may make things and label them."""
    found = labels or {}
    return found.get(ATTEMPT_LABEL) if found.get(EDGE_LABEL) in edges else None


def container_options(work: Work, index: int, policy: Policy, image_user: str) -> dict[str, Any]:
    """What `create_container` of the `docker` package is called with, but for `host_config`."""
    step = work.steps[index]
    user = policy.user_of(step, image_user)
    # The home that an image has for its own user is not another one's to write to.
    home = {"HOME": SHARED} if user else {}
    shell = {SHELL_LABEL: step.shell[0]} if step.script is not None else {}
    given = work.given_to(index)
    secrets = {**given.env, **({SECRETS_VARIABLE: SECRETS} if given.files else {})}
    return {
        "image": step.image,
        "entrypoint": _entrypoint(step),
        "user": user or None,
        "environment": {**home, **work.env, **step.env, **secrets, SHARED_VARIABLE: SHARED},
        "labels": {**labels(work), STEP_LABEL: step.name, INDEX_LABEL: str(index), **shell},
        "name": container_name(work.attempt, step.name),
        # The proxies of the engine's client are not the job's.
        "use_config_proxy": False,
    }


def host_options(work: Work, index: int, policy: Policy) -> dict[str, Any]:
    """What `create_host_config` of the `docker` package is called with. Seccomp is the engine's default by not being named."""
    log_bytes = policy.log_bytes // _LOG_FILES
    options: dict[str, Any] = {
        "binds": [f"{volume_name(work.attempt)}:{SHARED}"],
        "cap_drop": ["ALL"],
        "init": True,
        "ipc_mode": "private",
        "log_config": LogConfig(type="json-file", config={"max-size": str(log_bytes), "max-file": str(_LOG_FILES)}),
        "network_mode": work.network,
        "pids_limit": policy.pids_of(work),
        "read_only": work.steps[index].read_only_root,
        "security_opt": ["no-new-privileges:true"],
        "tmpfs": {"/tmp": f"rw,nosuid,nodev,noexec,mode=1777,size={policy.tmp_bytes_of(work)}"},  # noqa: S108 - not ours
    }
    if work.cpu > 0:
        options["nano_cpus"] = round(work.cpu * 1e9)
    if work.memory_bytes > 0:
        options["mem_limit"] = work.memory_bytes
        options["memswap_limit"] = work.memory_bytes + work.limits.swap_bytes
    given = work.given_to(index)
    if given.files:  # a mount, since what is only bound is made where it is missing, empty
        options["mounts"] = [Mount(SECRETS, given.files, type="bind", read_only=True)]
    if given.masked:
        options["ulimits"] = [Ulimit(name="core", soft=0, hard=0)]
    if work.gpus is not None:
        gpus = DeviceRequest(driver=work.gpus.driver, count=work.gpus.count, capabilities=[["gpu"]])
        options["device_requests"] = [gpus]
    return options


def observed(attempt: str, found: Sequence[tuple[Mapping[str, Any], str]]) -> Observed | None:
    """An attempt from its containers, in any order; None where there is none. One without its and a step's labels is none of
    them.

    Of each: what `inspect` says, and the end of its stderr as in `step_state`.
    """
    mine = [
        (labels, index, *of)
        for of in found
        if (index := _index_in(labels := of[0]["Config"]["Labels"], attempt)) is not None
    ]
    if not mine:
        return None
    first = mine[0][0]
    states = {index: state for _, index, one, said in mine if (state := step_state(one, said)) is not None}
    removed = StepState("vanished", 0.0, message="its container was removed")
    steps = tuple(states.get(index, removed) for index in range(max(states, default=-1) + 1))
    return Observed(first[SITE_LABEL], first[EDGE_LABEL], attempt, steps, uid=first.get(UID_LABEL, ""))


def _index_in(labels: Mapping[str, str] | None, attempt: str) -> int | None:
    """Which step of the attempt a container is by its labels; None for one that is not ours."""
    if labels is None or not labels.keys() >= {SITE_LABEL, EDGE_LABEL} or labels.get(ATTEMPT_LABEL) != attempt:
        return None
    index = labels.get(INDEX_LABEL, "")
    return int(index) if index in _INDICES else None


def step_state(container: Mapping[str, Any], stderr: str = "") -> StepState | None:
    """What `inspect` means for the step; None for one that was made and not started, so that it will be.

    `stderr` is the end of what was written there, for one that ended badly.
    """
    state = container["State"]
    created_s = _seconds(container["Created"])
    if state["Status"] == "created":
        if not state["Error"]:
            return None
        reason = reason_of_refusal(state["Error"])
        return StepState("exited", created_s, created_s, state["ExitCode"], reason, state["Error"])
    started_s = _seconds(state["StartedAt"])
    if state["Status"] == "exited":
        reason, message = _why(container, stderr)
        return StepState("exited", started_s, _seconds(state["FinishedAt"]), state["ExitCode"], reason, message)
    if state["Status"] in {"dead", "removing"}:
        return StepState("vanished", started_s, message=f"its container is {state['Status']}")
    return StepState("running", started_s)


def on_a_full_disk(found: Observed) -> Observed:
    """The attempt where the engine's disk is full. The engine drops what steps write then and says nothing of it, so one that
    failed for no reason that is known may well have told this one."""

    def told(step: StepState) -> StepState:
        if step.phase != "exited":
            return step
        if step.exit_code == 0 or step.reason:
            return replace(step, is_cut=True)
        message = "the engine's disk is full, and the end of what the step said may be lost"
        return replace(step, is_cut=True, reason=DISK_FULL, message=step.message or message)

    return replace(found, steps=tuple(map(told, found.steps)))


def ended_badly(container: Mapping[str, Any]) -> bool:
    """Whether what was written to stderr last may tell more than the exit code."""
    state = container["State"]
    return bool(state["Status"] == "exited" and state["ExitCode"] != 0)


def init_error_in(stderr: str) -> str:
    """What the engine's init wrote last, if it did: with an init, a missing command is no failure of the engine's."""
    last = stderr.rstrip().rpartition("\n")[2]
    return last if last.startswith("[FATAL tini (") else ""


def _why(container: Mapping[str, Any], stderr: str) -> tuple[str, str]:
    """Reason and message of an end. A step that says 0 has done its work, whatever it met on the way."""
    state = container["State"]
    if state["ExitCode"] == 0:
        return "", state["Error"]
    if state["OOMKilled"]:
        return OOM_KILLED, state["Error"] or "it used more memory than the job requests"
    reason, line = last_complaint(stderr)
    if reason:
        return reason, line
    error = init_error_in(stderr)
    if not error:
        return "", state["Error"]
    shell = (container["Config"]["Labels"] or {}).get(SHELL_LABEL)
    return (SHELL_MISSING, f"no shell {shell} in the image") if shell else (CANNOT_START, error)


def _entrypoint(step: Step) -> list[str] | None:
    if step.script is not None:
        return [*step.shell, step.script]
    return list(step.command) or None


def _seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()
