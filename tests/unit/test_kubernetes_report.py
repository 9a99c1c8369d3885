"""What the status of a Job and its pods means for an attempt."""

from typing import Any

import pytest
from msgspec.structs import replace

from agents.runtimes.kubernetes.manifest import job_manifest
from agents.runtimes.kubernetes.report import failed_step, observed, pod_of
from agents.runtimes.policy import Policy
from agents.runtimes.protocol import Artifact, Step, StepState, Work
from agents.runtimes.reasons import (
    CANNOT_START,
    DEVICE_MISSING,
    DISK_FULL,
    IMAGE_MISSING,
    IMAGE_NEVER_PULLED,
    OOM_KILLED,
    PULL_FAILED,
    SHELL_MISSING,
    UNSCHEDULABLE,
)

MADE, BEGUN, ENDED = (f"2026-01-01T00:00:0{second}Z" for second in (1, 2, 3))
MADE_S = 1767225601.0
NOW_S = MADE_S + 100
WORK = Work("s", "e", "a", (Step("one", "busybox", "true"), Step("two", "busybox", "true")), {})

RUNNING = {"running": {"startedAt": BEGUN}}
WAITING = {"waiting": {"reason": "PodInitializing"}}
IS_RUNNING = StepState("running", MADE_S + 1)
IS_DONE = StepState("exited", MADE_S + 1, MADE_S + 2, 0)

State = dict[str, Any]


def job(*, suspend: bool = False, condition: str = "") -> dict[str, Any]:
    made = job_manifest(WORK, Policy(), "tools")
    made["metadata"]["creationTimestamp"] = MADE
    made["spec"]["suspend"] = suspend
    conditions = [{"type": condition, "status": "True", "message": "it says why"}] if condition else []
    return {**made, "status": {"conditions": conditions}}


def ended(code: int = 0, message: str | None = None, **rest: Any) -> State:
    left = f"{code}\n" if message is None else message
    return {"terminated": {"exitCode": code, "message": left, "startedAt": BEGUN, "finishedAt": ENDED, **rest}}


def waiting(reason: str, message: str = "") -> State:
    return {"waiting": {"reason": reason, "message": message}}


def pod(
    *steps: State, phase: str = "Running", result: State = WAITING, prepare: State | None = None, **status: Any
) -> Any:
    states = [
        ("prepare", prepare or ended(message="")),
        *((f"step-{index}", state) for index, state in enumerate(steps)),
    ]
    return {
        "metadata": {"name": "p", "creationTimestamp": MADE},
        "spec": {"nodeName": "n"},
        "status": {
            "phase": phase,
            "initContainerStatuses": [{"name": name, "state": state} for name, state in states],
            "containerStatuses": [{"name": "result", "state": result}],
            **status,
        },
    }


def steps(*pods: Any, stderr: str = "", now_s: float = NOW_S, **rest: Any) -> tuple[StepState, ...]:
    return observed(job(**rest), pods, now_s, stderr).steps


LEAVING = replace(WORK, artifacts=(Artifact("table", "table.csv"),))


def held(hold: State, *, result: State | None = None, phase: str = "Running", **status: Any) -> tuple[StepState, ...]:
    """The steps of a pod that leaves artifacts, when both have ended."""
    made = job_manifest(LEAVING, Policy(), "tools")
    made["metadata"]["creationTimestamp"] = MADE
    one = pod(ended(), ended(), phase=phase, **status)
    one["status"]["initContainerStatuses"].append({"name": "result", "state": result or ended(message="")})
    one["status"]["containerStatuses"] = [{"name": "hold", "state": hold}]
    return observed({**made, "status": {}}, [one], NOW_S).steps


def test_a_pod_that_is_held_has_done_its_work_and_one_whose_files_are_lost_has_not() -> None:
    assert held(RUNNING) == (IS_DONE, IS_DONE)
    assert [step.phase for step in held(WAITING)] == ["exited", "running"]
    assert [step.phase for step in held(WAITING, result=RUNNING)] == ["exited", "running"]
    (_, lost) = held(ended(), phase="Succeeded")
    assert (lost.phase, lost.message) == ("vanished", "the pod ended before its files were brought away")


def test_the_end_of_what_it_wrote_may_be_missing_where_what_stands_over_it_was_killed() -> None:
    killed = ended(137, "", reason="OOMKilled")
    assert [step.is_cut for step in steps(pod(ended(), killed))] == [False, True]
    assert [step.is_cut for step in steps(pod(ended(137), WAITING))] == [False]
    assert [step.is_cut for step in steps(pod(ended(128, "", reason="StartError"), WAITING))] == [False]
    own = job()
    del own["spec"]["template"]["spec"]["initContainers"][1]["command"]  # an image's
    assert [step.is_cut for step in observed(own, [pod(killed, WAITING)], NOW_S).steps] == [False]


def test_what_was_never_handed_over_vanished() -> None:
    (step,) = steps(pod(WAITING, WAITING, prepare=ended(75, "nobody handed over what it is given"), phase="Failed"))
    assert (step.phase, step.message) == ("vanished", "nobody handed over what it is given")


def disrupted(one: Any) -> Any:
    why = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "drained"}
    return {**one, "status": {**one["status"], "conditions": [why]}}


def test_it_says_whose_it_is() -> None:
    found = observed(job(), [], MADE_S)
    assert (found.site, found.edge, found.attempt, found.steps) == ("s", "e", "a", ())


@pytest.mark.parametrize(
    ("one", "meaning"),
    [
        (pod(WAITING, WAITING, prepare=RUNNING), ()),
        (pod(WAITING, WAITING), ()),
        (pod(RUNNING, WAITING), (IS_RUNNING,)),
        (pod(ended(), WAITING), (IS_DONE,)),
        (pod(ended(), RUNNING), (IS_DONE, IS_RUNNING)),
        # The last step is over once its result can be read.
        (pod(ended(), ended()), (IS_DONE, IS_RUNNING)),
        (pod(ended(), ended(), result=RUNNING), (IS_DONE, IS_RUNNING)),
        (pod(ended(), ended(), result=ended(message=""), phase="Succeeded"), (IS_DONE, IS_DONE)),
    ],
)
def test_steps_come_as_their_containers_begin(one: Any, meaning: tuple[StepState, ...]) -> None:
    assert steps(one) == meaning


def test_a_step_that_fails_is_the_last() -> None:
    assert steps(pod(ended(7), WAITING, phase="Failed")) == (replace(IS_DONE, exit_code=7),)
    assert steps(pod(ended(), ended(143), phase="Failed"))[1] == replace(IS_DONE, exit_code=143)


def test_after_a_failure_that_is_kept_from_the_cluster_it_goes_on() -> None:
    assert [one.exit_code for one in steps(pod(ended(0, "7\n"), RUNNING))] == [7, None]
    whole = pod(ended(0, "7\n"), ended(0, "3\n"), result=ended(message=""), phase="Succeeded")
    assert [one.exit_code for one in steps(whole)] == [7, 3]


@pytest.mark.parametrize(
    ("state", "code", "reason", "message"),
    [
        (ended(137, reason="OOMKilled"), 137, OOM_KILLED, "it used more memory than the job requests"),
        (ended(137, reason="Error"), 137, "", ""),
        (ended(0, reason="OOMKilled"), 0, "", ""),
        (ended(127, "127 shell /bin/zsh\n"), 127, SHELL_MISSING, "no shell /bin/zsh in the image"),
        (ended(127, "127 command nope\n"), 127, CANNOT_START, "no such command: nope"),
        (ended(128, "exec: no such file", reason="StartError"), 127, CANNOT_START, "exec: no such file"),
        (ended(7, ""), 7, "", ""),  # of an image's own command, over which nothing stands
    ],
)
def test_an_end_has_a_reason_where_one_is_known(state: State, code: int, reason: str, message: str) -> None:
    (step, *_) = steps(pod(state, WAITING, phase="Failed" if code else "Running"))
    assert (step.exit_code, step.reason, step.message) == (code, reason, message)


def test_what_a_failed_step_said_last_may_tell_more() -> None:
    said = "dd: error writing '/tmp/x': No space left on device\n"
    assert steps(pod(ended(1), WAITING, phase="Failed"), stderr=said)[0].reason == DISK_FULL
    assert steps(pod(ended(0), RUNNING), stderr=said)[0].reason == ""
    assert failed_step(pod(ended(), ended(2))) == 1
    assert failed_step(pod(ended(3), WAITING)) == 0
    assert failed_step(pod(ended(), RUNNING)) is None


@pytest.mark.parametrize(
    ("reason", "said", "found"),
    [
        ("ErrImagePull", 'failed to resolve reference "docker.io/x/y:1": docker.io/x/y:1: not found', IMAGE_MISSING),
        ("ImagePullBackOff", "Back-off pulling image: manifest unknown", IMAGE_MISSING),
        ("ErrImagePull", "dial tcp 127.0.0.1:9: connect: connection refused", PULL_FAILED),
        ("ErrImagePull", "write /var/lib: no space left on device", DISK_FULL),
        ("ErrImageNeverPull", "Container image is not present with pull policy of Never", IMAGE_NEVER_PULLED),
        ("InvalidImageName", "Failed to apply default image tag", IMAGE_MISSING),
        ("CreateContainerConfigError", "container has runAsNonRoot and image will run as root", CANNOT_START),
        ("RunContainerError", "failed to create shim task", CANNOT_START),
    ],
)
def test_a_container_that_cannot_be_had_is_an_end(reason: str, said: str, found: str) -> None:
    first = StepState("exited", NOW_S, NOW_S, 125, found, said)
    assert steps(pod(waiting(reason, said), WAITING)) == (first,)
    assert steps(pod(ended(), waiting(reason, said))) == (IS_DONE, first)
    assert steps(pod(WAITING, WAITING, prepare=waiting(reason, said))) == (first,)


def test_tools_that_are_none_are_an_end() -> None:
    (step,) = steps(pod(WAITING, WAITING, prepare=ended(1, ""), phase="Failed"))
    assert (step.exit_code, step.reason) == (125, CANNOT_START)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("0/3 nodes are available: 3 Insufficient cpu.", UNSCHEDULABLE),
        ("0/3 nodes are available: 3 Insufficient nvidia.com/gpu.", DEVICE_MISSING),
    ],
)
def test_a_pod_that_no_node_takes_is_an_end_once_that_is_sure(said: str, reason: str) -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said}
    one = pod(phase="Pending", prepare=WAITING, conditions=[{**condition, "lastTransitionTime": BEGUN}])
    assert steps(one, now_s=MADE_S + 14) == ()
    (step,) = steps(one)
    assert (step.phase, step.exit_code, step.reason, step.message) == ("exited", 125, reason, said)
    gated = {**condition, "reason": "SchedulingGated", "lastTransitionTime": BEGUN}
    assert steps(pod(phase="Pending", prepare=WAITING, conditions=[gated])) == ()


@pytest.mark.parametrize(
    "one",
    [
        disrupted(pod(ended(143), WAITING)),
        disrupted(pod(RUNNING, WAITING, phase="Failed")),
        disrupted(pod(ended(), ended(), phase="Failed")),
        pod(ended(137, "", reason="ContainerStatusUnknown"), WAITING, phase="Failed"),
        pod(RUNNING, WAITING, phase="Failed"),
        pod(phase="Failed", prepare=WAITING, reason="OutOfcpu", message="Node didn't have enough resource: cpu"),
        pod(ended(143), WAITING, phase="Failed", reason="Evicted", message="The node was low on resource: memory"),
        pod(ended(), ended(), result=ended(137, ""), phase="Failed"),
    ],
)
def test_what_the_cluster_ended_vanished(one: Any) -> None:
    last = steps(one)[-1]
    assert last.phase == "vanished"
    assert last.message
    assert last.exit_code is None


def test_what_ended_well_before_a_disruption_has_ended_well() -> None:
    assert steps(disrupted(pod(ended(), RUNNING))) == (IS_DONE, IS_RUNNING)


def test_a_job_that_waits_has_begun_nothing() -> None:
    assert steps(suspend=True) == ()
    assert steps(now_s=MADE_S + 1) == ()


def test_a_job_for_which_no_pod_is_made_is_an_end() -> None:
    (step,) = steps()
    assert (step.exit_code, step.reason) == (125, UNSCHEDULABLE)


@pytest.mark.parametrize("condition", ["Failed", "Complete"])
def test_a_job_whose_pod_was_deleted_vanished(condition: str) -> None:
    (step,) = steps(condition=condition)
    assert (step.phase, step.message) == ("vanished", "its pod was deleted: it says why")


def test_the_first_pod_counts() -> None:
    second = pod(RUNNING)
    second["metadata"] = {"name": "b", "creationTimestamp": ENDED}
    assert pod_of([second, pod()]) == pod()
    assert pod_of([]) is None
