"""What only the Kubernetes runtime has to stand: images, nodes, limits and a cluster that has its own will."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from agents.runtimes.kubernetes.cluster import JOBS, PODS, Cluster
from agents.runtimes.kubernetes.login import KUBECONFIG_VARIABLE
from agents.runtimes.kubernetes.manifest import QUEUE_LABEL, job_name
from agents.runtimes.kubernetes.nodes import cluster_capacity
from agents.runtimes.kubernetes.runtime import KubernetesRuntime
from agents.runtimes.protocol import Gpus, Limits, Observed, Step, Work
from agents.runtimes.reasons import (
    CANNOT_START,
    DEVICE_MISSING,
    DISK_FULL,
    IMAGE_NEVER_PULLED,
    OOM_KILLED,
    PULL_FAILED,
    SHELL_MISSING,
    UNSCHEDULABLE,
)
from datamodel.errors import Invalid
from datamodel.scheduling.logs import Record
from tests.kubernetes_cluster import OTHERS_VARIABLE, KubernetesCluster
from tests.waiting import eventually

SITE = "site-kubernetes-only"
WAIT_S = 60.0
SOON_S = 25.0
MIB = 2**20

pytestmark = pytest.mark.kubernetes


@pytest.fixture
async def runtime(kubernetes_cluster: KubernetesCluster, tmp_path: Path) -> AsyncIterator[KubernetesRuntime]:
    runtime = kubernetes_cluster.runtime(SITE, ["edge"], tmp_path / "state")
    await runtime.open(lambda _: None)
    await clear(runtime)  # of a run that was killed
    yield runtime
    await clear(runtime)
    await runtime.close()


@pytest.fixture
async def api(kubernetes_cluster: KubernetesCluster) -> AsyncIterator[Cluster]:
    """The cluster as somebody else sees it."""
    api = Cluster(kubernetes_cluster.namespace)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KUBECONFIG_VARIABLE, kubernetes_cluster.others_kubeconfig)
        await api.open()
    yield api
    await api.close()


async def clear(runtime: KubernetesRuntime) -> None:
    for found in await runtime.discover():
        await runtime.remove(found.attempt)


@pytest.fixture
def work(kubernetes_cluster: KubernetesCluster) -> Work:
    return Work(SITE, "edge", "alone-1", (Step("step", kubernetes_cluster.image, "true"),), {}, memory_bytes=64 * MIB)


def doing(work: Work, *scripts: str, **fields: Any) -> Work:
    """The same with other scripts; `fields` are of each step."""
    steps = (replace(work.steps[0], name=f"step-{at}", script=script, **fields) for at, script in enumerate(scripts))
    return replace(work, steps=tuple(steps))


async def until(runtime: KubernetesRuntime, work: Work, count: int, *, ended: bool = True) -> Observed:
    """What is observed once so many steps have begun, and the last of these has ended."""
    async with asyncio.timeout(WAIT_S):
        while True:
            found = await runtime.observe(work.attempt)
            if found is not None and len(found.steps) >= count and not (ended and found.steps[-1].phase == "running"):
                return found
            await asyncio.sleep(0.1)


async def run(runtime: KubernetesRuntime, work: Work) -> Observed:
    assert runtime.refuses(work) is None
    await runtime.start_step(work, 0)
    return await until(runtime, work, 1)


async def test_an_image_that_cannot_be_had_is_told_soon(runtime: KubernetesRuntime, work: Work) -> None:
    began_s = time.monotonic()
    steps = (replace(work.steps[0], image="no-registry.invalid/box:1"),)
    (step,) = (await run(runtime, replace(work, steps=steps))).steps
    assert (step.exit_code, step.reason) == (125, PULL_FAILED)
    assert "no-registry.invalid" in step.message
    assert time.monotonic() - began_s < SOON_S


async def test_an_image_that_must_not_be_pulled_is_told_soon(runtime: KubernetesRuntime, work: Work) -> None:
    began_s = time.monotonic()
    steps = (work.steps[0], replace(work.steps[0], name="two", image="no-registry.invalid/box:1", pull_policy="Never"))
    await run(runtime, replace(work, steps=steps))
    first, second = (await until(runtime, work, 2)).steps
    assert (first.exit_code, second.reason) == (0, IMAGE_NEVER_PULLED)
    assert time.monotonic() - began_s < SOON_S


@pytest.mark.parametrize(
    ("fields", "reason", "word"),
    [
        ({"cpu": 4000.0}, UNSCHEDULABLE, "Insufficient cpu"),
        ({"gpus": Gpus(driver="none.test")}, DEVICE_MISSING, "none.test/gpu"),
    ],
)
async def test_what_no_node_has_is_told_soon(
    runtime: KubernetesRuntime, work: Work, fields: dict[str, Any], reason: str, word: str
) -> None:
    began_s = time.monotonic()
    (step,) = (await run(runtime, replace(work, **fields))).steps
    assert step.reason == reason
    assert word in step.message
    assert time.monotonic() - began_s < SOON_S


async def test_who_takes_more_memory_than_asked_is_killed_with_a_reason(runtime: KubernetesRuntime, work: Work) -> None:
    greedy = replace(doing(work, "exec tail -c 200000000 /dev/zero"), memory_bytes=24 * MIB)
    (step,) = (await run(runtime, greedy)).steps
    assert (step.exit_code, step.reason) == (137, OOM_KILLED)


async def test_who_fills_tmp_is_told_and_what_is_there_is_the_steps_own(runtime: KubernetesRuntime, work: Work) -> None:
    scripts = "ls -A /tmp; echo > /tmp/mine", "ls -A /tmp; dd if=/dev/zero of=/tmp/x bs=1M count=9"
    await run(runtime, replace(doing(work, *scripts), limits=Limits(tmp_bytes=MIB)))
    step = (await until(runtime, work, 2)).steps[1]
    assert (step.exit_code, step.reason) == (1, DISK_FULL)
    assert (await runtime.logs(work.attempt, 0, "", 4096)).parts == ()
    assert b"mine" not in await said(runtime, work, 1)


async def test_a_shell_that_the_image_does_not_have_is_its_own_reason(runtime: KubernetesRuntime, work: Work) -> None:
    (step,) = (await run(runtime, doing(work, "true", shell=("/bin/zsh", "-c")))).steps
    assert (step.exit_code, step.reason, step.message) == (127, SHELL_MISSING, "no shell /bin/zsh in the image")


async def test_what_the_server_refuses_is_an_end_with_a_reason(runtime: KubernetesRuntime, work: Work) -> None:
    refused = replace(work, labels={"-": "no label of Kubernetes'"})
    (step,) = (await run(runtime, refused)).steps
    assert step.reason == CANNOT_START
    assert "metadata.labels" in step.message
    assert [one.attempt for one in await runtime.discover()] == [work.attempt]


async def test_a_failure_after_which_it_goes_on_is_told_and_the_result_is_read(
    runtime: KubernetesRuntime, work: Work
) -> None:
    scripts = "echo {} > /shared/result.json; exit 7", "kill -9 $$", "echo '{\"a\": 1}' > /shared/result.json; exit 3"
    await run(runtime, doing(work, *scripts, continue_on_error=True))
    found = await until(runtime, work, 3)
    assert [step.exit_code for step in found.steps] == [7, 137, 3]
    assert await runtime.result(work.attempt) == b'{"a": 1}\n'


async def test_a_step_is_confined(runtime: KubernetesRuntime, work: Work) -> None:
    script = (
        "id -u; cat /proc/self/status; for d in / /bin /dev /proc /sys /.tendril /shared /tmp;"
        " do touch $d/x 2> /dev/null && echo wrote $d; done; ls /var/run/secrets 2>&1"
    )
    await run(runtime, doing(work, script))
    lines = (await said(runtime, work, 0)).decode().splitlines()
    assert lines[0] == "65534"
    assert {"CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} <= set(lines)
    assert [line for line in lines if line.startswith("wrote")] == ["wrote /shared", "wrote /tmp"]
    assert lines[-1] == "ls: /var/run/secrets: No such file or directory"


async def test_what_a_step_leaves_running_does_not_keep_it(runtime: KubernetesRuntime, work: Work) -> None:
    await run(runtime, doing(work, "sleep 1000 & setsid sleep 1000 & echo begun; exit 4", "echo {}"))
    (step,) = (await until(runtime, work, 1)).steps
    assert step.exit_code == 4
    assert await said(runtime, work, 0) == b"begun\n"


async def test_a_result_is_no_log_and_a_log_no_result(runtime: KubernetesRuntime, work: Work) -> None:
    await run(runtime, doing(work, "echo base64; echo e30=; echo end"))
    assert await runtime.result(work.attempt) is None
    assert await said(runtime, work, 0) == b"base64\ne30=\nend\n"


async def test_a_job_of_a_queue_waits_until_somebody_lets_it_go(
    runtime: KubernetesRuntime, work: Work, api: Cluster
) -> None:
    queued = replace(work, labels={QUEUE_LABEL: "night", "team": "blue"}, annotations={"example.com/why": "a b"})
    await runtime.start_step(queued, 0)
    path = f"{JOBS}/{job_name(work.attempt)}"
    job = await api.call("GET", path)
    assert job["metadata"]["labels"]["team"] == "blue"
    assert job["metadata"]["annotations"]["example.com/why"] == "a b"
    assert job["spec"]["suspend"] is True
    found = await runtime.observe(work.attempt)
    assert found is not None
    assert found.steps == ()
    try:
        await api.call("PATCH", path, body={"spec": {"suspend": False}})  # as Kueue does
    except Invalid:
        pytest.skip(f"an agent may not patch Jobs: set {OTHERS_VARIABLE} to the kubeconfig of somebody who may")
    assert (await until(runtime, work, 1)).steps[0].exit_code == 0


async def test_a_pod_that_the_cluster_deletes_vanished(runtime: KubernetesRuntime, work: Work, api: Cluster) -> None:
    await runtime.start_step(doing(work, "sleep 1000"), 0)
    await until(runtime, work, 1, ended=False)
    await api.call("DELETE", PODS, {"labelSelector": f"tendril.attempt={work.attempt}"})
    (step,) = (await until(runtime, work, 1)).steps
    assert step.phase == "vanished"
    await eventually(lambda: _has_no_pod(api, work), timeout_s=WAIT_S)
    (step,) = (await until(runtime, work, 1)).steps
    assert step.phase == "vanished"


async def test_what_never_ran_is_gone_when_it_is_stopped(runtime: KubernetesRuntime, work: Work, api: Cluster) -> None:
    await runtime.start_step(replace(work, cpu=4000.0), 0)
    await runtime.stop(work.attempt, 20.0)
    assert await runtime.observe(work.attempt) is None
    assert await _has_no_pod(api, work)


async def test_nothing_is_left_of_what_is_removed(
    runtime: KubernetesRuntime, work: Work, api: Cluster, tmp_path: Path
) -> None:
    await run(runtime, doing(work, "echo something"))
    assert await said(runtime, work, 0) == b"something\n"
    await runtime.remove(work.attempt)
    assert await api.find(f"{JOBS}/{job_name(work.attempt)}") is None
    assert await _has_no_pod(api, work)
    assert not await asyncio.to_thread((tmp_path / "state" / work.attempt).exists)


async def test_the_cluster_tells_its_capacity(kubernetes_cluster: KubernetesCluster) -> None:
    found = await cluster_capacity(kubernetes_cluster.namespace)
    assert found.cpu > 0
    assert found.memory_bytes > MIB


async def said(runtime: KubernetesRuntime, work: Work, index: int) -> bytes:
    """All that a step wrote to stdout."""
    page = await runtime.logs(work.attempt, index, "", 10**6)
    assert not page.more
    return b"".join(part.data for part in page.parts if isinstance(part, Record) and part.stream == "stdout")


async def _has_no_pod(api: Cluster, work: Work) -> bool:
    return (await api.items(PODS, f"tendril.attempt={work.attempt}"))[0] == []
