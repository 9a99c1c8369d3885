"""What a container gets and what it does not, and that each way to come to harm in one is a reason and no harm to others."""

from collections.abc import AsyncIterator
from typing import Any

import docker
import pytest
from msgspec.structs import replace

from agents.runtimes.docker.runtime import DockerRuntime
from agents.runtimes.policy import Policy
from agents.runtimes.protocol import Gpus, Limits, Step, StepState, Work
from agents.runtimes.reasons import (
    DEVICE_MISSING,
    DISK_FULL,
    NETWORK_MISSING,
    OOM_KILLED,
    PIDS_EXHAUSTED,
    SHELL_MISSING,
)
from datamodel.scheduling.logs import Dropped, Record
from tests import containers
from tests.containers import opened
from tests.services import IMAGE

SITE = "site-docker-isolation"
MIB = 2**20

pytestmark = pytest.mark.docker


@pytest.fixture
async def runtime(docker_engine: docker.DockerClient) -> AsyncIterator[DockerRuntime]:
    async with opened(SITE) as runtime:
        yield runtime


def work(script: str, *, step: dict[str, Any] | None = None, **fields: Any) -> Work:
    one = Work(SITE, "edge", "isolation-1", (Step("step", IMAGE, script, **(step or {})),), {}, memory_bytes=64 * MIB)
    return replace(one, **fields)


async def run(runtime: DockerRuntime, work: Work) -> StepState:
    assert runtime.refuses(work) is None
    await runtime.remove(work.attempt)
    return (await containers.run(runtime, work)).steps[0]


async def said(runtime: DockerRuntime, work: Work) -> str:
    """What the script prints."""
    (step,) = work.steps
    loud = replace(work, steps=(replace(step, script=f"({step.script}) > /shared/result.json 2>&1"),))
    await run(runtime, loud)
    return (await runtime.result(loud.attempt) or b"").decode()


async def assert_healthy(runtime: DockerRuntime) -> None:
    """Another attempt runs as ever, and nothing is left of it or of the one before."""
    assert (await run(runtime, work("true", attempt="isolation-2"))).exit_code == 0
    for attempt in ("isolation-1", "isolation-2"):
        await runtime.remove(attempt)
    assert await runtime.discover() == []


async def test_a_step_is_nobody_unless_it_says_who_it_is(runtime: DockerRuntime) -> None:
    who = "echo $(id -u):$(id -g) $HOME"
    assert await said(runtime, work(who)) == "65534:65534 /shared\n"
    assert await said(runtime, work(who, step={"user": "77:7"})) == "77:7 /shared\n"


async def test_root_is_what_an_operator_allows(docker_engine: docker.DockerClient) -> None:
    async with opened(SITE, Policy(root=True)) as runtime:
        assert await said(runtime, work("id -u")) == "0\n"
        assert await said(runtime, work("id -u", step={"user": "0"})) == "0\n"


async def test_only_the_shared_directory_and_tmp_take_writes(runtime: DockerRuntime) -> None:
    script = "for d in / /bin /dev /proc /sys /shared /tmp; do touch $d/x 2>/dev/null && echo $d; done"
    assert await said(runtime, work(script)) == "/shared\n/tmp\n"
    async with opened(SITE, Policy(root=True)) as with_root:
        assert (
            await said(with_root, work("touch /x && echo yes || echo no")) == "touch: /x: Read-only file system\nno\n"
        )
        assert await said(with_root, work("touch /x && echo yes", step={"read_only_root": False})) == "yes\n"


async def test_a_step_has_no_privilege_and_no_way_to_the_host(runtime: DockerRuntime) -> None:
    lines = (
        await said(runtime, work("cat /proc/self/status; ls /sys/class/net; ls /var/run/docker.sock"))
    ).splitlines()
    assert {"CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} <= set(lines)
    assert lines[-2:] == ["lo", "ls: /var/run/docker.sock: No such file or directory"]
    assert (await run(runtime, work("mount -t tmpfs x /tmp || mknod /tmp/d b 8 0"))).exit_code != 0


async def test_a_network_is_what_an_operator_allows(runtime: DockerRuntime) -> None:
    async with opened(SITE, Policy(networks=("bridge", "tendril-test-none-such"))) as open_to_bridge:
        assert await said(open_to_bridge, work("ls /sys/class/net", network="bridge")) == "eth0\nlo\n"
        state = await run(open_to_bridge, work("true", network="tendril-test-none-such"))
        assert state.reason == NETWORK_MISSING
        assert "tendril-test-none-such" in state.message
        await assert_healthy(open_to_bridge)
    assert runtime.refuses(work("true", network="bridge")) is not None


async def test_who_fills_tmp_is_told_and_fills_nothing_else(runtime: DockerRuntime) -> None:
    full = work("dd if=/dev/zero of=/tmp/x bs=1M count=9", limits=Limits(tmp_bytes=MIB))
    state = await run(runtime, full)
    assert state.reason == DISK_FULL
    assert "No space left on device" in state.message
    assert await said(runtime, work("df -k /tmp | tail -n 1 | awk '{print $2}'")) == f"{32 * 1024}\n"
    await assert_healthy(runtime)


async def test_what_is_in_tmp_counts_as_memory(runtime: DockerRuntime) -> None:
    greedy = work("head -c 60000000 /dev/zero > /tmp/x", memory_bytes=16 * MIB, limits=Limits(tmp_bytes=100 * MIB))
    assert (await run(runtime, greedy)).reason == OOM_KILLED
    await assert_healthy(runtime)


async def test_a_fork_bomb_ends_by_itself_and_harms_nobody(runtime: DockerRuntime) -> None:
    bomb = work("set -e; while true; do sleep 100 & done", limits=Limits(pids=64))
    state = await run(runtime, bomb)
    assert state.exit_code != 0
    assert state.reason == PIDS_EXHAUSTED
    assert "fork" in state.message
    await assert_healthy(runtime)


async def test_a_bomb_of_bombs_ends_when_it_is_stopped(runtime: DockerRuntime) -> None:
    bomb = work("f() { f | f & f; }; f", limits=Limits(pids=64))
    await runtime.start_step(bomb, 0)
    await runtime.stop(bomb.attempt, 0.5)
    found = await runtime.observe(bomb.attempt)
    assert found is not None
    assert found.steps[0].phase == "exited"
    await assert_healthy(runtime)


async def test_the_fewest_processes_are_enough_for_a_shell(runtime: DockerRuntime) -> None:
    assert (await run(runtime, work("true | true", limits=Limits(pids=16)))).exit_code == 0


async def test_a_shell_of_ones_own_and_one_that_is_missing(runtime: DockerRuntime) -> None:
    assert (await run(runtime, work("false; true", step={"shell": ("/bin/sh", "-e", "-c")}))).exit_code == 1
    state = await run(runtime, work("true", step={"shell": ("/bin/zsh", "-c")}))
    assert (state.exit_code, state.reason) == (127, SHELL_MISSING)
    assert state.message == "no shell /bin/zsh in the image"
    await assert_healthy(runtime)


async def test_a_gpu_that_the_engine_does_not_have_is_a_reason(runtime: DockerRuntime) -> None:
    state = await run(runtime, work("true", gpus=Gpus(driver="tendril-test")))
    assert state.reason == DEVICE_MISSING
    await assert_healthy(runtime)


async def test_what_the_engine_keeps_of_a_flood_is_bounded(docker_engine: docker.DockerClient) -> None:
    async with opened(SITE, Policy(log_bytes=2**17)) as runtime:
        assert (await run(runtime, work("yes | head -c 400000"))).exit_code == 0
        kept = docker_engine.containers.get("tendril-isolation-1-step").logs()
        assert 0 < len(kept) <= 2**17
        assert (await runtime.logs("isolation-1", 0, "", 4096)).parts[0] == Dropped(0, None)
        assert (await run(runtime, work("yes | head -c 400"))).exit_code == 0
        assert isinstance((await runtime.logs("isolation-1", 0, "", 4096)).parts[0], Record)


async def test_swap_comes_only_where_it_is_asked_for(docker_engine: docker.DockerClient) -> None:
    async with opened(SITE, Policy(swap_bytes=MIB)) as runtime:
        await run(runtime, work("true", limits=Limits(swap_bytes=MIB)))
        host = docker_engine.containers.get("tendril-isolation-1-step").attrs["HostConfig"]
        assert (host["Memory"], host["MemorySwap"]) == (64 * MIB, 65 * MIB)
