"""A step as a container: what it is made of, and what the engine's account of it means. Pure."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from docker.types import LogConfig

from agents.runtimes.protocol import Observed, Step, StepState, Work
from agents.runtimes.reasons import CANNOT_START, OOM_KILLED
from agents.runtimes.shared import SHARED, SHARED_VARIABLE
from datamodel.scheduling.jobs import STEPS_LIMIT

SITE_LABEL = "tendril.site"
EDGE_LABEL = "tendril.edge"
ATTEMPT_LABEL = "tendril.attempt"
STEP_LABEL = "tendril.step"
INDEX_LABEL = "tendril.index"

PIDS_LIMIT = 512
"""Processes and threads of one step: enough for any honest one, and the end of a fork bomb."""

_INDICES = frozenset(map(str, range(STEPS_LIMIT)))

LOG_FILE_SIZE = "1m"
LOG_FILES = 2


def volume_name(attempt: str) -> str:
    return f"tendril-{attempt}"


def container_name(attempt: str, step: str) -> str:
    return f"tendril-{attempt}-{step}"


def labels(work: Work) -> dict[str, str]:
    return {SITE_LABEL: work.site, EDGE_LABEL: work.edge, ATTEMPT_LABEL: work.attempt}


def attempt_in(labels: Mapping[str, str] | None, edges: Collection[str]) -> str | None:
    """The attempt of one of these edges that something belongs to by its labels, None where there is none: at an engine,
    anybody may make things and label them."""
    found = labels or {}
    return found.get(ATTEMPT_LABEL) if found.get(EDGE_LABEL) in edges else None


def container_options(work: Work, index: int) -> dict[str, Any]:
    """What `create_container` of the `docker` package is called with, but for `host_config`."""
    step = work.steps[index]
    return {
        "image": step.image,
        "entrypoint": _entrypoint(step),
        "environment": {**work.env, **step.env, SHARED_VARIABLE: SHARED},
        "labels": {**labels(work), STEP_LABEL: step.name, INDEX_LABEL: str(index)},
        "name": container_name(work.attempt, step.name),
        # The proxies of the engine's client are not the job's.
        "use_config_proxy": False,
    }


def host_options(work: Work) -> dict[str, Any]:
    """What `create_host_config` of the `docker` package is called with."""
    options: dict[str, Any] = {
        "binds": [f"{volume_name(work.attempt)}:{SHARED}"],
        "cap_drop": ["ALL"],
        "init": True,
        "log_config": LogConfig(type="json-file", config={"max-size": LOG_FILE_SIZE, "max-file": str(LOG_FILES)}),
        "network_mode": "none",
        "pids_limit": PIDS_LIMIT,
        "security_opt": ["no-new-privileges:true"],
    }
    if work.cpu > 0:
        options["nano_cpus"] = round(work.cpu * 1e9)
    if work.memory_bytes > 0:
        options["mem_limit"] = options["memswap_limit"] = work.memory_bytes
    return options


def observed(attempt: str, found: Sequence[tuple[Mapping[str, Any], str]]) -> Observed | None:
    """An attempt from its containers, in any order; None where there is none. One without a step's labels is none of them.

    Of each: what `inspect` says, and the error of its init as in `step_state`.
    """
    mine = [
        (labels, index, *of) for of in found if (index := _index_in(labels := of[0]["Config"]["Labels"])) is not None
    ]
    if not mine:
        return None
    site, edge = mine[0][0][SITE_LABEL], mine[0][0][EDGE_LABEL]
    states = {index: state for _, index, one, error in mine if (state := step_state(one, error)) is not None}
    removed = StepState("vanished", 0.0, message="its container was removed")
    steps = tuple(states.get(index, removed) for index in range(max(states, default=-1) + 1))
    return Observed(site, edge, attempt, steps)


def _index_in(labels: Mapping[str, str] | None) -> int | None:
    """Which step a container is by its labels; None for one that is not ours."""
    if labels is None or SITE_LABEL not in labels or EDGE_LABEL not in labels:
        return None
    index = labels.get(INDEX_LABEL, "")
    return int(index) if index in _INDICES else None


def step_state(container: Mapping[str, Any], init_error: str = "") -> StepState | None:
    """What `inspect` means for the step; None for one that was made and not started, so that it will be.

    `init_error` is what the container's init wrote where it could not run the step.
    """
    state = container["State"]
    created_s = _seconds(container["Created"])
    if state["Status"] == "created":
        if not state["Error"]:
            return None
        return StepState("exited", created_s, created_s, state["ExitCode"], CANNOT_START, state["Error"])
    started_s = _seconds(state["StartedAt"])
    if state["Status"] == "exited":
        return StepState(
            "exited",
            started_s,
            _seconds(state["FinishedAt"]),
            state["ExitCode"],
            _exit_reason(state, init_error),
            init_error or state["Error"],
        )
    if state["Status"] in {"dead", "removing"}:
        return StepState("vanished", started_s, message=f"its container is {state['Status']}")
    return StepState("running", started_s)


def may_not_have_run(container: Mapping[str, Any]) -> bool:
    """Whether the exit code is one that init (or a shell) has for a command that it cannot run."""
    state = container["State"]
    return state["Status"] == "exited" and state["ExitCode"] in {126, 127}


def init_error_in(stderr: str) -> str:
    """What the engine's init wrote last, if it did: with an init, a missing command is no failure of the engine's."""
    last = stderr.rstrip().rpartition("\n")[2]
    return last if last.startswith("[FATAL tini (") else ""


def _exit_reason(state: Mapping[str, Any], init_error: str) -> str:
    if init_error:
        return CANNOT_START
    # A step may survive the end of one of its processes for lack of memory.
    return OOM_KILLED if state["OOMKilled"] and state["ExitCode"] != 0 else ""


def _entrypoint(step: Step) -> list[str] | None:
    if step.script is not None:
        return ["/bin/sh", "-c", step.script]
    return list(step.command) or None


def _seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()
