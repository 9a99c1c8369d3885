"""An attempt as a Job's manifest."""

from typing import Any

import pytest
from msgspec.structs import replace

from agents.runtimes.kubernetes.handing import WAIT_SCRIPT
from agents.runtimes.kubernetes.manifest import QUEUE_LABEL, gpu_resource, job_manifest, job_name, unsupported
from agents.runtimes.kubernetes.wrapper import literal
from agents.runtimes.policy import Policy
from agents.runtimes.protocol import Artifact, Given, Gpus, Input, Limits, SecretUse, Step, Work
from agents.runtimes.reasons import UNSUPPORTED

TOOLS = "tools:1"
WORK = Work(
    "attic",
    "edge-1",
    "a-0-1",
    (Step("first", "busybox", "echo $$ $(CHUNK_INDEX)"), Step("second", "own:1")),
    {"CHUNK_INDEX": "3", "PRICE": "$5"},
    cpu=0.25,
    memory_bytes=64 * 2**20,
)


def made(work: Work = WORK, policy: Policy = Policy()) -> dict[str, Any]:  # noqa: B008 - frozen
    return job_manifest(work, policy, TOOLS)


def pod(work: Work = WORK, policy: Policy = Policy()) -> dict[str, Any]:  # noqa: B008 - frozen
    spec: dict[str, Any] = made(work, policy)["spec"]["template"]["spec"]
    return spec


def containers(work: Work = WORK, policy: Policy = Policy()) -> list[dict[str, Any]]:  # noqa: B008 - frozen
    spec = pod(work, policy)
    return [*spec["initContainers"], *spec["containers"]]


def test_the_same_attempt_has_the_same_job() -> None:
    assert made() == made()
    assert made()["metadata"]["name"] == "tendril-a-0-1"


def test_a_name_is_never_longer_than_a_labels_value() -> None:
    names = {job_name("a" * length) for length in range(1, 64)}
    assert len(names) == 63
    assert max(map(len, names)) <= 63


def test_steps_are_init_containers_in_order_between_what_prepares_and_what_tells_the_result() -> None:
    assert [one["name"] for one in containers()] == ["prepare", "step-0", "step-1", "result"]
    assert [one["image"] for one in containers()] == [TOOLS, "busybox", "own:1", TOOLS]
    shared = {"name": "shared", "mountPath": "/shared"}
    assert all(shared in one["volumeMounts"] for one in pod()["initContainers"][1:])


def test_what_the_kubelet_would_expand_is_escaped() -> None:
    _, first, second, _ = containers()
    assert first["command"][-3:] == ["/bin/sh", "-c", "echo $$$$ $$(CHUNK_INDEX)"]
    assert {"name": "PRICE", "value": "$$5"} in first["env"]
    assert "command" not in second  # its image says what runs


def test_a_job_runs_once_and_is_forgotten_by_the_cluster() -> None:
    spec = made()["spec"]
    assert (spec["backoffLimit"], spec["completions"], spec["parallelism"]) == (0, 1, 1)
    assert spec["ttlSecondsAfterFinished"] == 86_400
    assert pod()["restartPolicy"] == "Never"
    assert "activeDeadlineSeconds" not in pod()
    assert pod(replace(WORK, limits=Limits(timeout_s=1.5)))["activeDeadlineSeconds"] == 2 + 10 + 3600
    assert pod()["terminationGracePeriodSeconds"] == 10
    patient = pod(replace(WORK, limits=Limits(timeout_s=1.5, grace_s=59.5)))
    assert (patient["activeDeadlineSeconds"], patient["terminationGracePeriodSeconds"]) == (2 + 60 + 3600, 60)


def test_the_jobs_labels_are_the_cluster_jobs_but_our_own_cannot_be_taken() -> None:
    labels = {"team": "blue", "tendril.edge": "another"}
    found = made(replace(WORK, labels=labels, uid="f" * 32))
    own = {"tendril.site": "attic", "tendril.edge": "edge-1", "tendril.attempt": "a-0-1", "tendril.uid": "f" * 32}
    assert found["metadata"]["labels"] == {"team": "blue", **own}
    assert found["spec"]["template"]["metadata"]["labels"] == {**own, "tendril.network": "none"}
    assert found["spec"]["suspend"] is False


def test_the_jobs_annotations_are_the_cluster_jobs_and_not_its_pods() -> None:
    found = made(replace(WORK, annotations={"kueue.x-k8s.io/job-min-parallelism": "1", "example.com/why": "a b"}))
    assert found["metadata"]["annotations"] == {"kueue.x-k8s.io/job-min-parallelism": "1", "example.com/why": "a b"}
    assert "annotations" not in found["spec"]["template"]["metadata"]


def test_a_job_of_a_queue_waits_for_it() -> None:
    assert made(replace(WORK, labels={QUEUE_LABEL: "night"}))["spec"]["suspend"] is True


def test_every_container_is_as_restricted_pods_must_be() -> None:
    assert pod()["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
    assert all(set(volume) == {"name", "emptyDir"} for volume in pod()["volumes"])
    assert pod()["automountServiceAccountToken"] is False
    for one in containers():
        context = one["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["readOnlyRootFilesystem"] is True
    users = [(one["securityContext"]["runAsUser"], one["securityContext"]["runAsGroup"]) for one in containers()]
    assert users == [(65533, 65533), *[(65534, 65534)] * 3]  # what is put there first is not the steps' to change


def test_a_step_says_whom_it_runs_as_and_its_result_is_read_by_the_same() -> None:
    work = replace(WORK, steps=(Step("one", "busybox", "true", user="77:7", read_only_root=False),))
    _, step, result = (one["securityContext"] for one in containers(work))
    assert (step["runAsUser"], step["runAsGroup"], step["readOnlyRootFilesystem"]) == (77, 7, False)
    assert (result["runAsUser"], result["runAsGroup"], result["readOnlyRootFilesystem"]) == (77, 7, True)


def test_where_root_is_allowed_the_image_says_whom_it_runs_as() -> None:
    context = containers(policy=Policy(root=True))[1]["securityContext"]
    assert context["runAsNonRoot"] is False
    assert "runAsUser" not in context


def test_a_pod_asks_for_no_more_than_one_step() -> None:
    wanted = {"cpu": "250m", "memory": str(64 * 2**20)}
    assert [one["resources"] for one in containers()] == [{"requests": wanted, "limits": wanted}] * 4
    free = replace(WORK, cpu=0.0, memory_bytes=0)
    assert [one["resources"] for one in containers(free)] == [{}] * 4


def test_only_steps_are_given_gpus() -> None:
    found = [one["resources"]["limits"] for one in containers(replace(WORK, gpus=Gpus(2)))]
    assert [one.get("nvidia.com/gpu") for one in found] == [None, "2", "2", None]


@pytest.mark.parametrize(
    ("driver", "resource"),
    [
        ("nvidia", "nvidia.com/gpu"),
        ("amd", "amd.com/gpu"),
        ("intel", "gpu.intel.com/i915"),
        ("mythreads", "mythreads.com/gpu"),
        ("squat.ai", "squat.ai/gpu"),
    ],
)
def test_a_driver_is_an_extended_resource(driver: str, resource: str) -> None:
    assert gpu_resource(Gpus(driver=driver)) == resource


def test_a_step_has_a_tmp_of_its_own_and_of_a_size() -> None:
    tmps = [volume for volume in pod()["volumes"] if volume["name"].startswith("tmp-")]
    assert [one["emptyDir"] for one in tmps] == [{"medium": "Memory", "sizeLimit": str(32 * 2**20)}] * 2


def test_after_which_steps_it_goes_on_is_told_to_what_stands_over_them() -> None:
    steps = (
        Step("one", "busybox", "false", continue_on_error=True),
        Step("two", "busybox", command=("false",)),
        Step("three", "busybox", command=("false",), ignored=(3, 42)),
    )
    _, one, two, three, _ = containers(replace(WORK, steps=steps))
    assert one["command"][3:] == ["all", "shell", "/bin/sh", "-c", "false"]
    assert two["command"][3:] == ["", "command", "false"]
    assert three["command"][3:] == ["3 42", "command", "false"]


@pytest.mark.parametrize(
    ("limits", "named"), [(Limits(pids=64), "limits.pids"), (Limits(swap_bytes=1), "limits.swapBytes")]
)
def test_what_a_pod_cannot_say_is_refused(limits: Limits, named: str) -> None:
    refusal = unsupported(replace(WORK, limits=limits))
    assert refusal is not None
    assert refusal.reason == UNSUPPORTED
    assert named in refusal.message
    assert unsupported(replace(WORK, limits=Limits(timeout_s=5, tmp_bytes=4096), gpus=Gpus(), network="lab")) is None


VALUE = "c0rrect h0rse"
USES = (SecretUse("database", "value", env="PASSWORD"), SecretUse("database", "value", file="password"))
SECRETIVE = replace(
    WORK,
    steps=(WORK.steps[0], replace(WORK.steps[0], name="third", secrets=USES)),
    given={1: Given({"PASSWORD": VALUE}, "/dev/shm/x", (VALUE.encode(),))},
)


def test_no_value_of_a_secret_is_in_a_job() -> None:
    assert VALUE not in str(made(SECRETIVE))
    assert made(SECRETIVE) == made(replace(SECRETIVE, given={}))


def test_secrets_are_in_memory_and_only_their_steps_see_them() -> None:
    volumes = {volume["name"]: volume["emptyDir"] for volume in pod(SECRETIVE)["volumes"]}
    given = {name: volume for name, volume in volumes.items() if name in {"begin-1", "files-1"}}
    assert [volume["medium"] for volume in given.values()] == ["Memory", "Memory"]
    mounted = [
        [(mount["mountPath"], mount.get("readOnly", False)) for mount in one["volumeMounts"] if mount["name"] in given]
        for one in containers(SECRETIVE)
    ]
    prepare = [("/.tendril-given/begin-1", False), ("/.tendril-given/files-1", False)]
    assert mounted == [prepare, [], [("/.tendril-given", True), ("/run/secrets", True)], []]
    assert {"name": "SECRETS_DIR", "value": "/run/secrets"} in containers(SECRETIVE)[2]["env"]


def test_only_who_is_given_something_waits_for_it() -> None:
    given = replace(WORK, inputs=(Input("k", 1, "0" * 64, "a"),))
    waits = [containers(work)[0]["command"][-1].endswith(literal(WAIT_SCRIPT)) for work in (WORK, SECRETIVE, given)]
    assert waits == [False, True, True]
    assert {"name": "shared", "mountPath": "/shared"} in containers(given)[0]["volumeMounts"]
    assert all(mount["name"] != "shared" for mount in containers()[0]["volumeMounts"])


def test_a_pod_is_held_for_its_artifacts() -> None:
    leaving = replace(WORK, artifacts=(Artifact("table", "table.csv"),), limits=Limits(timeout_s=1.5))
    assert [one["name"] for one in pod(leaving)["containers"]] == ["hold"]
    assert [one["name"] for one in containers(leaving)] == ["prepare", "step-0", "step-1", "result", "hold"]
    assert pod(leaving)["activeDeadlineSeconds"] == 2 + 10 + 3600 + 86_400


def test_secret_variables_of_what_nothing_of_ours_starts_are_refused() -> None:
    bare = replace(WORK.steps[1], secrets=USES[:1])
    refusal = unsupported(replace(WORK, steps=(bare,)))
    assert refusal is not None
    assert refusal.reason == UNSUPPORTED
    assert "secrets in variables" in refusal.message
    assert unsupported(replace(WORK, steps=(replace(bare, secrets=USES[1:]),))) is None
    assert unsupported(SECRETIVE) is None
