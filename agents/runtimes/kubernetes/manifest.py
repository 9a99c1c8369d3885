"""An attempt as a Job: what it is called, and what it is made of. Pure."""

import hashlib
import math
from typing import Any

from agents.runtimes.kubernetes.handing import WAIT_SCRIPT, files_volume, given_volume, is_given_something
from agents.runtimes.kubernetes.wrapper import (
    END_FILE,
    GIVEN,
    PREPARE_SCRIPT,
    RESULT_SCRIPT,
    STEP_SCRIPT,
    TOOLS,
    literal,
    step_command,
)
from agents.runtimes.policy import Policy
from agents.runtimes.protocol import Gpus, Refusal, Work
from agents.runtimes.reasons import UNSUPPORTED
from agents.runtimes.shared import SECRETS, SECRETS_VARIABLE, SHARED, SHARED_VARIABLE

SITE_LABEL = "tendril.site"
EDGE_LABEL = "tendril.edge"
ATTEMPT_LABEL = "tendril.attempt"
UID_LABEL = "tendril.uid"
NETWORK_LABEL = "tendril.network"
"""Of pods: what network policies of the cluster select them by."""

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
"""A Job with this label waits, suspended, until Kueue admits it."""

PREPARE, RESULT, HOLD = "prepare", "result", "hold"
"""The first and the last container of a pod; the steps are between them. Where these leave artifacts, one follows that holds
the pod until they have been brought away."""

"""Between TERM and KILL. Kubernetes wants it when the pod is made."""
LATEST_PULL_S = 3600
"""How long images may take, beyond the attempt's own limit of time, until the kubelet ends what no agent ends."""
TTL_S = 86_400
"""How long the cluster keeps a finished Job that no agent removes."""

HOLD_S = 86_400
"""How long a pod is held for its artifacts at most."""

_NAME_LIMIT = 63
_PREPARER = "65533"
_GIVEN_VOLUME = {"medium": "Memory", "sizeLimit": "1Mi"}
_HOLD_SCRIPT = f"trap 'exit 0' TERM; /bin/busybox sleep {HOLD_S} & wait $!"
_GPUS = {"nvidia": "nvidia.com/gpu", "amd": "amd.com/gpu", "intel": "gpu.intel.com/i915"}


def job_name(attempt: str) -> str:
    """The Job of an attempt, always the same; short enough to be a label's value, as which its pods bear it."""
    name = f"tendril-{attempt}"
    if len(name) <= _NAME_LIMIT:
        return name
    return f"tendril-{hashlib.sha256(attempt.encode()).hexdigest()[:40]}"


def step_container(index: int) -> str:
    return f"step-{index}"


def gpu_resource(gpus: Gpus) -> str:
    """The extended resource that a driver's device plugin offers: `nvidia.com/gpu`; of others, `<driver>/gpu`."""
    return _GPUS.get(gpus.driver) or (f"{gpus.driver}/gpu" if "." in gpus.driver else f"{gpus.driver}.com/gpu")


def unsupported(work: Work) -> Refusal | None:
    """Refuses what a pod cannot say, since processes and swap are limited by the kubelets' configuration alone; and secret
    variables of a program that nothing of ours starts."""
    asked = {
        "limits.pids": work.limits.pids > 0,
        "limits.swapBytes": work.limits.swap_bytes > 0,
        "secrets in variables of an image's own command": any(
            use.env for step in work.steps if not step_command(step) for use in step.secrets
        ),
    }
    missing = [name for name, is_asked in asked.items() if is_asked]
    if not missing:
        return None
    return Refusal(UNSUPPORTED, f"the kubernetes runtime of this edge cannot give {', '.join(missing)}")


def job_manifest(work: Work, policy: Policy, tools_image: str) -> dict[str, Any]:
    """The batch/v1 Job of an attempt. It passes the pod security standard "restricted" unless the policy allows root."""
    own = {SITE_LABEL: work.site, EDGE_LABEL: work.edge, ATTEMPT_LABEL: work.attempt, UID_LABEL: work.uid}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(work.attempt),
            "labels": {**work.labels, **own},
            # Not its pod's: those reach what no job may say, as networks and security profiles of some clusters.
            "annotations": dict(work.annotations),
        },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "suspend": QUEUE_LABEL in work.labels,
            "ttlSecondsAfterFinished": TTL_S,
            "template": {
                "metadata": {"labels": {**own, NETWORK_LABEL: work.network}},
                "spec": _pod(work, policy, tools_image),
            },
        },
    }


def _pod(work: Work, policy: Policy, tools_image: str) -> dict[str, Any]:
    sequence = [
        _prepare(work, policy, tools_image),
        *(_step(work, index, policy) for index in range(len(work.steps))),
        _last(RESULT, RESULT_SCRIPT, work, policy, tools_image),
        *([_last(HOLD, _HOLD_SCRIPT, work, policy, tools_image)] if work.artifacts else ()),
    ]
    grace_s = math.ceil(work.limits.grace_s)
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace_s,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": _volumes(work, policy),
        "initContainers": sequence[:-1],
        "containers": sequence[-1:],
    }
    if work.limits.timeout_s > 0:
        beside_s = grace_s + LATEST_PULL_S + (HOLD_S if work.artifacts else 0)
        spec["activeDeadlineSeconds"] = math.ceil(work.limits.timeout_s) + beside_s
    return spec


def _volumes(work: Work, policy: Policy) -> list[dict[str, Any]]:
    tmp = {"medium": "Memory", "sizeLimit": str(policy.tmp_bytes_of(work))}
    return [
        {"name": "shared", "emptyDir": {}},
        {"name": "tools", "emptyDir": {}},
        *({"name": f"tmp-{index}", "emptyDir": tmp} for index in range(len(work.steps))),
        *(
            {"name": name, "emptyDir": _GIVEN_VOLUME}
            for index in range(len(work.steps))
            for name, _, _ in _given(work, index)
        ),
    ]


def _given(work: Work, index: int) -> list[tuple[str, str, str]]:
    """The volumes in memory for what step `index` is given, and where they are mounted: at first, and for the step."""
    volumes = [(f"begin-{index}", given_volume(index), GIVEN), (f"files-{index}", files_volume(index), SECRETS)]
    uses = work.steps[index].secrets
    return volumes[: 2 if any(use.file for use in uses) else 1] if uses else []


def _prepare(work: Work, policy: Policy, tools_image: str) -> dict[str, Any]:
    """As nobody else: what it puts there is not the steps' to change."""
    script = f"{PREPARE_SCRIPT}\n{WAIT_SCRIPT}" if is_given_something(work) else PREPARE_SCRIPT
    shared = [{"name": "shared", "mountPath": SHARED}] if work.inputs else []
    given = [
        {"name": name, "mountPath": place} for index in range(len(work.steps)) for name, place, _ in _given(work, index)
    ]
    return {
        "name": PREPARE,
        "image": tools_image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/busybox", "sh", "-c", literal(script)],
        "env": [{"name": "TENDRIL_STEP", "value": literal(STEP_SCRIPT)}],
        "volumeMounts": [{"name": "tools", "mountPath": TOOLS}, *shared, *given],
        "resources": _resources(work, with_gpus=False),
        "securityContext": _security(_PREPARER, policy, read_only=True),
    }


def _step(work: Work, index: int, policy: Policy) -> dict[str, Any]:
    step = work.steps[index]
    user = policy.user_of(step, "")
    home = {"HOME": SHARED} if user else {}
    given = _given(work, index)
    secrets = {SECRETS_VARIABLE: SECRETS} if any(use.file for use in step.secrets) else {}
    env = {**home, **work.env, **step.env, **secrets, SHARED_VARIABLE: SHARED}
    container: dict[str, Any] = {
        "name": step_container(index),
        "image": step.image,
        "imagePullPolicy": step.pull_policy,
        "env": [{"name": name, "value": literal(value)} for name, value in env.items()],
        "terminationMessagePath": END_FILE,
        "volumeMounts": [
            {"name": "shared", "mountPath": SHARED},
            {"name": "tools", "mountPath": TOOLS, "readOnly": True},
            {"name": f"tmp-{index}", "mountPath": "/tmp"},  # noqa: S108 - not ours
            *({"name": name, "mountPath": place, "readOnly": True} for name, _, place in given),
        ],
        "resources": _resources(work, with_gpus=True),
        "securityContext": _security(user, policy, read_only=step.read_only_root),
    }
    if command := step_command(step):
        container["command"] = [literal(word) for word in command]
    return container


def _last(name: str, script: str, work: Work, policy: Policy, tools_image: str) -> dict[str, Any]:
    """As the last step's user: what only that one may read is read."""
    return {
        "name": name,
        "image": tools_image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/busybox", "sh", "-c", literal(script)],
        "volumeMounts": [{"name": "shared", "mountPath": SHARED, "readOnly": True}],
        "resources": _resources(work, with_gpus=False),
        "securityContext": _security(policy.user_of(work.steps[-1], ""), policy, read_only=True),
    }


def _resources(work: Work, *, with_gpus: bool) -> dict[str, Any]:
    """The same for every container: they run one after the other, so a pod needs no more than one of them."""
    amounts: dict[str, str] = {}
    if work.cpu > 0:
        amounts["cpu"] = f"{max(1, round(work.cpu * 1000))}m"
    if work.memory_bytes > 0:
        amounts["memory"] = str(work.memory_bytes)
    if with_gpus and work.gpus is not None:
        amounts[gpu_resource(work.gpus)] = str(work.gpus.count)
    return {"requests": amounts, "limits": amounts} if amounts else {}


def _security(user: str, policy: Policy, *, read_only: bool) -> dict[str, Any]:
    uid, _, gid = user.partition(":")
    context: dict[str, Any] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": read_only,
        "runAsNonRoot": not policy.root,
    }
    if uid:
        context["runAsUser"] = int(uid)
        context["runAsGroup"] = int(gid or uid)
    return context
