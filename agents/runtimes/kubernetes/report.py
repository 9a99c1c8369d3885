"""What the status of a Job and its pods means for an attempt. Pure; statuses are documents as the API server answers them."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from agents.runtimes.docker.complaints import last_complaint, reason_of_pull
from agents.runtimes.kubernetes.handing import NEVER_HANDED
from agents.runtimes.kubernetes.manifest import (
    ATTEMPT_LABEL,
    EDGE_LABEL,
    HOLD,
    PREPARE,
    RESULT,
    SITE_LABEL,
    UID_LABEL,
    step_container,
)
from agents.runtimes.kubernetes.wrapper import End, end_in, is_wrapped
from agents.runtimes.protocol import Observed, StepState
from agents.runtimes.reasons import (
    CANNOT_START,
    DEVICE_MISSING,
    IMAGE_MISSING,
    IMAGE_NEVER_PULLED,
    OOM_KILLED,
    SHELL_MISSING,
    UNSCHEDULABLE,
)

Document = dict[str, Any]

UNSCHEDULABLE_AFTER_S = 15.0
"""How long a pod may find no node: a scheduler says so at once, and again when there is room. On an edge that is full, it waits
until the pod before it has gone, which has ended for the hub by then."""
NO_POD_AFTER_S = 30.0
"""How long a Job may have no pod: where a quota or an admission keeps it from being made, only an event tells."""

_CANNOT_START_CODE = 125  # what `docker run` exits with when there is no container
_MISSING_CODE = 127
_NO_IMAGE = re.compile(r": not found\b")
_NO_GPU = re.compile(r"Insufficient \S+/\S+")
_PULL = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "SignatureValidationFailed"})
_REFUSED = {
    "ErrImageNeverPull": IMAGE_NEVER_PULLED,
    "InvalidImageName": IMAGE_MISSING,
    "CreateContainerConfigError": CANNOT_START,
    "CreateContainerError": CANNOT_START,
    "RunContainerError": CANNOT_START,
}
_NO_START = frozenset({"StartError", "ContainerCannotRun"})
_LOST = "ContainerStatusUnknown"
_NO_STEPS = frozenset({PREPARE, RESULT, HOLD})


def attempt_in(labels: Mapping[str, str] | None, edges: Collection[str]) -> str | None:
    """The attempt of one of these edges that something belongs to by its labels; None where there is none."""
    found = labels or {}
    return found.get(ATTEMPT_LABEL) if found.get(EDGE_LABEL) in edges else None


def pod_of(pods: Sequence[Document]) -> Document | None:
    """The pod of a Job: the first, where its controller made another one."""
    return min(pods, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]), default=None)


def observed(job: Document, pods: Sequence[Document], now_s: float, stderr: str = "") -> Observed:
    """The attempt of a Job. `stderr` is the end of what `failed_step` of it wrote there."""
    labels = job["metadata"]["labels"]
    pod = pod_of(pods)
    steps = _without_pod(job, now_s) if pod is None else _Pod(job, pod, now_s, stderr).steps()
    site, edge, attempt = (labels[label] for label in (SITE_LABEL, EDGE_LABEL, ATTEMPT_LABEL))
    return Observed(site, edge, attempt, tuple(steps), uid=labels.get(UID_LABEL, ""))


def failed_step(pod: Document) -> int | None:
    """The step whose stderr may tell more than its exit code: the last that ended, if it ended badly."""
    found = None
    for index, status in _step_statuses(pod):
        ended = status.get("state", {}).get("terminated")
        if ended is not None:
            found = index if _end(ended).exit_code != 0 else None
    return found


def cannot_start(message: str, now_s: float) -> StepState:
    """The end of a step that the cluster refused to take."""
    return StepState("exited", now_s, now_s, _CANNOT_START_CODE, CANNOT_START, message)


def container_runs(pod: Document, container: str) -> bool:
    """Whether a container of the pod runs, so that programs can be run in it."""
    return "running" in _statuses(pod).get(container, {}).get("state", {})


def container_begun(pod: Document, container: str) -> bool:
    """Whether a container of the pod has begun, so that it has a log."""
    state = _statuses(pod).get(container, {}).get("state", {})
    return "running" in state or "terminated" in state


def container_ended(pod: Document, container: str) -> bool:
    """Whether a container of the pod has ended, so that its log grows no more."""
    status = _statuses(pod).get(container)
    return status is not None and "terminated" in status.get("state", {})


def container_told(pod: Document, container: str) -> bool:
    """Whether what stands over a step came to its own end with it: then all that the step wrote is on its way into the log."""
    return _has_word(_statuses(pod).get(container, {}).get("state", {}).get("terminated", {}))


def is_over(pod: Document) -> bool:
    """Whether nothing of the pod runs, or will."""
    return pod["status"].get("phase") in {"Succeeded", "Failed"}


def is_placed(pod: Document) -> bool:
    """Whether a kubelet has it, so that it may run."""
    return bool(pod["spec"].get("nodeName"))


class _Pod:
    """One pod, read as the steps of an attempt."""

    def __init__(self, job: Document, pod: Document, now_s: float, stderr: str) -> None:
        self._job, self._pod, self._now_s, self._stderr = job, pod, now_s, stderr
        self._statuses = _statuses(pod)
        sequence = job["spec"]["template"]["spec"]["initContainers"]
        self._count = sum(one["name"] not in _NO_STEPS for one in sequence)
        self._disruption = _disruption(pod)

    def steps(self) -> list[StepState]:
        failure = self._no_start(self._statuses.get(PREPARE))
        if failure is not None:
            return [failure]
        steps: list[StepState] = []
        for index in range(self._count):
            state = self._step(index)
            if state is None:
                return self._with_loss(steps)
            steps.append(state)
            if not self._goes_on(index):
                return steps
        return [*steps[:-1], self._whole(steps[-1])]

    def _goes_on(self, index: int) -> bool:
        """Whether the kubelet starts the next container: by what a step's own says, and not by what the step did."""
        ended = self._statuses[step_container(index)].get("state", {}).get("terminated")
        return ended is not None and ended["exitCode"] == 0

    def _step(self, index: int) -> StepState | None:
        """What is known of a step; None for one that has not begun."""
        status = self._statuses.get(step_container(index))
        if status is None:
            return None
        state = status.get("state", {})
        if "running" in state:
            started_s = seconds(state["running"]["startedAt"])
            if is_over(self._pod):  # its kubelet never told how it ended
                return StepState(
                    "vanished", started_s, message=self._disruption or "its pod ended without a word of it"
                )
            return StepState("running", started_s)
        if "terminated" in state:
            return self._end(index, state["terminated"])
        return self._refused(state.get("waiting", {}))

    def _end(self, index: int, ended: Document) -> StepState:
        started_s, finished_s = (_time(ended.get(name), self._pod) for name in ("startedAt", "finishedAt"))
        end = _end(ended)
        if ended.get("reason") == _LOST or (end.exit_code != 0 and self._disruption):
            return StepState("vanished", started_s, message=self._disruption or "its node lost it")
        reason, message = self._why(index, ended, end)
        is_cut = self._is_wrapped(index) and ended.get("reason") not in _NO_START and not _has_word(ended)
        return StepState("exited", started_s, finished_s, end.exit_code, reason, message, is_cut=is_cut)

    def _is_wrapped(self, index: int) -> bool:
        """Whether something of ours stands over a step: what that has not let through is lost where it was killed."""
        sequence = self._job["spec"]["template"]["spec"]["initContainers"]
        return any(one["name"] == step_container(index) and is_wrapped(one.get("command", ())) for one in sequence)

    def _why(self, index: int, ended: Document, end: End) -> tuple[str, str]:
        """Reason and message of an end. A step that says 0 has done its work, whatever it met on the way."""
        if end.exit_code == 0:
            return "", ""
        if end.missing == "shell":
            return SHELL_MISSING, f"no shell {end.program} in the image"
        if end.missing:
            return CANNOT_START, f"no such command: {end.program}"
        if ended.get("reason") == "OOMKilled":
            return OOM_KILLED, "it used more memory than the job requests"
        if ended.get("reason") in _NO_START:
            return CANNOT_START, ended.get("message", "")
        return last_complaint(self._stderr) if failed_step(self._pod) == index else ("", "")

    def _refused(self, waiting: Document) -> StepState | None:
        """The end of a step whose container cannot be had; None while it may be."""
        reason, message = waiting.get("reason", ""), waiting.get("message", "")
        if reason in _PULL:
            found = IMAGE_MISSING if _NO_IMAGE.search(message) else reason_of_pull(message)
        elif reason in _REFUSED:
            found = _REFUSED[reason]
        else:
            return None
        return StepState("exited", self._now_s, self._now_s, _CANNOT_START_CODE, found, message)

    def _no_start(self, prepare: Document | None) -> StepState | None:
        """Why no step began, where that is known."""
        if unschedulable := self._unschedulable():
            return unschedulable
        state = (prepare or {}).get("state", {})
        ended = state.get("terminated")
        if ended is not None and ended["exitCode"] == NEVER_HANDED:
            return StepState("vanished", self._now_s, message=ended.get("message", ""))
        if ended is not None and ended["exitCode"] != 0 and not self._disruption:
            message = f"the tools' container failed: {ended.get('message') or ended.get('reason', '')}"
            return cannot_start(message, self._now_s)
        return self._refused(state.get("waiting", {}))

    def _unschedulable(self) -> StepState | None:
        for condition in self._pod["status"].get("conditions", ()):
            if condition["type"] != "PodScheduled" or condition.get("reason") != "Unschedulable":
                continue
            since_s = _time(condition.get("lastTransitionTime"), self._pod)
            if self._now_s - since_s < UNSCHEDULABLE_AFTER_S:
                return None
            message = condition.get("message", "")
            reason = DEVICE_MISSING if _NO_GPU.search(message) else UNSCHEDULABLE
            return StepState("exited", since_s, self._now_s, _CANNOT_START_CODE, reason, message)
        return None

    def _whole(self, last: StepState) -> StepState:
        """The last step: it is over once its result has been read."""
        state = self._statuses.get(RESULT, {}).get("state", {})
        ended = state.get("terminated")
        if ended is not None and ended["exitCode"] == 0:
            return self._held(last)
        if ended is not None or is_over(self._pod):
            message = self._disruption or "the pod ended before the result was read"
            return StepState("vanished", last.started_s, message=message)
        refused = self._refused(state.get("waiting", {}))
        if refused is not None:
            return StepState("vanished", last.started_s, message=f"the result cannot be read: {refused.message}")
        return StepState("running", last.started_s)

    def _held(self, last: StepState) -> StepState:
        """The last step, whose files have to be there yet where it leaves any."""
        hold = self._statuses.get(HOLD)
        if hold is None or container_runs(self._pod, HOLD):
            return last
        if is_over(self._pod) or "terminated" in hold.get("state", {}):
            message = self._disruption or "the pod ended before its files were brought away"
            return StepState("vanished", last.started_s, message=message)
        return StepState("running", last.started_s)

    def _with_loss(self, steps: list[StepState]) -> list[StepState]:
        """A pod that ended before its steps, other than by one of them, was ended by somebody: nobody knows how it went on."""
        if not is_over(self._pod):
            return steps
        status = self._pod["status"]
        message = self._disruption or status.get("message") or status.get("reason") or "its pod ended"
        return [*steps, StepState("vanished", self._now_s, message=message)]


def _without_pod(job: Document, now_s: float) -> list[StepState]:
    """A Job that waits has no pod, and one whose pod was deleted makes none again."""
    for condition in job.get("status", {}).get("conditions", ()):
        if condition["type"] in {"Failed", "Complete"} and condition["status"] == "True":
            return [StepState("vanished", now_s, message=f"its pod was deleted: {condition.get('message', '')}")]
    made_s = seconds(job["metadata"]["creationTimestamp"])
    if job["spec"].get("suspend") or now_s - made_s < NO_POD_AFTER_S:
        return []
    message = f"the cluster made no pod for it within {NO_POD_AFTER_S:g} s; its events may say why"
    return [StepState("exited", made_s, now_s, _CANNOT_START_CODE, UNSCHEDULABLE, message)]


def _disruption(pod: Document) -> str:
    """Why a pod was ended by the cluster and not by its steps; empty where it was not."""
    for condition in pod["status"].get("conditions", ()):
        if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
            return f"{condition.get('reason', 'disruption')}: {condition.get('message', '')}"
    if pod["status"].get("reason") in {"Evicted", "NodeLost", "NodeShutdown", "Shutdown", "Terminated"}:
        return f"{pod['status']['reason']}: {pod['status'].get('message', '')}"
    return "its pod was deleted" if pod["metadata"].get("deletionTimestamp") else ""


def _end(ended: Document) -> End:
    """The end of a step, in its wrapper's words where it had one that could speak."""
    left = end_in(ended.get("message", ""))
    return left or End(_MISSING_CODE if ended.get("reason") in _NO_START else ended["exitCode"])


def _has_word(ended: Document) -> bool:
    return end_in(ended.get("message", "")) is not None


def _statuses(pod: Document) -> dict[str, Document]:
    status = pod["status"]
    return {
        one["name"]: one for one in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
    }


def _step_statuses(pod: Document) -> list[tuple[int, Document]]:
    statuses = [one for one in pod["status"].get("initContainerStatuses", ()) if one["name"] not in _NO_STEPS]
    return list(enumerate(statuses))


def _time(timestamp: str | None, pod: Document) -> float:
    return seconds(timestamp or pod["metadata"]["creationTimestamp"])


def seconds(timestamp: str) -> float:
    """Seconds since the epoch of an API server's time."""
    return datetime.fromisoformat(timestamp).timestamp()
