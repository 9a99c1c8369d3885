"""What only the Docker runtime has to stand: limits, images, an engine that goes away."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import docker
import pytest
from docker.errors import NotFound
from msgspec.structs import replace

from agents.runtimes.choose import choose
from agents.runtimes.docker.container import container_options, host_options, labels
from agents.runtimes.docker.runtime import DockerRuntime
from agents.runtimes.policy import Policy
from agents.runtimes.process.runtime import ProcessRuntime
from agents.runtimes.protocol import Step, Work
from agents.runtimes.reasons import CANNOT_START, IMAGE_MISSING, OOM_KILLED, PULL_FAILED
from datamodel.errors import Transient
from tests.containers import WAIT_S, opened, run
from tests.services import IMAGE
from tests.waiting import until

SITE = "site-docker-only"

pytestmark = pytest.mark.docker

# The `docker` package leaves the socket of a connection that failed to the garbage collector, which then warns.
leaks_sockets = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


class _Wire:
    """Between a client and the engine, so that a test can cut them apart."""

    def __init__(self, path: Path) -> None:
        self.address = f"unix://{path}"
        self._path = path
        self._engine = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._join, self._path)

    async def cut(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
        for writer in list(self._writers):
            with suppress(OSError):
                await writer.wait_closed()
        self._path.unlink(missing_ok=True)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(self._engine)
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()
        self._writers.discard(writer)


@pytest.fixture
async def runtime(docker_engine: docker.DockerClient) -> AsyncIterator[DockerRuntime]:
    async with opened(SITE) as runtime:
        yield runtime


@pytest.fixture
def failing_connections() -> Iterator[None]:
    """Collects what `leaks_sockets` forgives before another test is blamed for it."""
    yield
    gc.collect()


def work(script: str, *, image: str = IMAGE, cpu: float = 0.0, memory_bytes: int = 0) -> Work:
    return Work(SITE, "edge", "attempt-1", (Step("step", image, script),), {}, cpu=cpu, memory_bytes=memory_bytes)


async def test_a_missing_image_is_an_end_with_a_reason_and_is_found_out_anew(runtime: DockerRuntime) -> None:
    missing = work("true", image="tendril-test/no-such-image:1")
    found = await run(runtime, missing)
    assert found.steps[0].reason in {IMAGE_MISSING, PULL_FAILED}
    assert found.steps[0].message
    assert (await runtime.discover())[0].steps == found.steps
    restarted = DockerRuntime(site=SITE, edges=["edge"])
    await restarted.open(lambda _: None)
    assert await restarted.discover() == []
    assert (await run(restarted, missing)).steps[0].reason == found.steps[0].reason
    await restarted.close()


@pytest.mark.parametrize("fields", [{"memory_bytes": 1}, {"cpu": 100000.0}])
async def test_what_the_engine_refuses_is_an_end_with_a_reason(
    runtime: DockerRuntime, fields: dict[str, float]
) -> None:
    found = await run(runtime, work("true", **fields))  # type: ignore[arg-type]
    assert found.steps[0].reason == CANNOT_START
    assert found.steps[0].message


async def test_who_takes_more_memory_than_asked_is_killed_with_a_reason(runtime: DockerRuntime) -> None:
    """An engine that is told of the end before the kernel's word of the memory has reached it says nothing of that, ever."""
    told = set()
    for _ in range(3):
        found = await run(runtime, work("exec tail -c 200000000 /dev/zero", memory_bytes=16 * 1024 * 1024))
        told.add((found.steps[0].exit_code, found.steps[0].reason))
        await runtime.remove(found.attempt)
        if (137, OOM_KILLED) in told:
            break
    assert (137, OOM_KILLED) in told
    assert told <= {(137, OOM_KILLED), (137, "")}


async def test_any_user_may_write_to_the_shared_directory(
    runtime: DockerRuntime, docker_engine: docker.DockerClient
) -> None:
    made = docker_engine.api.create_container(IMAGE, ["true"])
    docker_engine.api.commit(made["Id"], "tendril-test/ordinary", "1", changes=["USER 1234:1234"])
    docker_engine.api.remove_container(made["Id"])
    ordinary = work("id -u > /shared/result.json", image="tendril-test/ordinary:1")
    try:
        assert (await run(runtime, ordinary)).steps[0].exit_code == 0
        assert await runtime.result(ordinary.attempt) == b"1234\n"
    finally:
        await runtime.remove(ordinary.attempt)
        docker_engine.images.remove("tendril-test/ordinary:1")


async def test_a_step_is_confined(runtime: DockerRuntime, docker_engine: docker.DockerClient) -> None:
    confined = work("cat /proc/self/status > /shared/result.json", cpu=0.5, memory_bytes=64 * 1024 * 1024)
    await run(runtime, confined)
    status = (await runtime.result(confined.attempt) or b"").decode().splitlines()
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    container = docker_engine.containers.get("tendril-attempt-1-step")
    assert container.labels["tendril.attempt"] == "attempt-1"
    host = container.attrs["HostConfig"]
    assert (host["NanoCpus"], host["Memory"], host["MemorySwap"]) == (500_000_000, 67_108_864, 67_108_864)
    assert (host["NetworkMode"], host["Init"], host["AutoRemove"], host["PidsLimit"]) == ("none", True, False, 512)
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "524288", "max-file": "4"}}


async def test_a_container_that_was_made_and_not_started_is_started(
    runtime: DockerRuntime, docker_engine: docker.DockerClient
) -> None:
    halfway, api = work("true"), docker_engine.api
    api.create_volume("tendril-attempt-1", labels=labels(halfway))
    host_config = api.create_host_config(**host_options(halfway, 0, Policy()))
    api.create_container(**container_options(halfway, 0, Policy(), ""), host_config=host_config)
    (found,) = await runtime.discover()
    assert found.steps == ()
    assert (await run(runtime, halfway)).steps[0].exit_code == 0


async def test_nothing_is_left_of_what_is_removed(runtime: DockerRuntime, docker_engine: docker.DockerClient) -> None:
    await run(runtime, work("true"))
    await runtime.remove("attempt-1")
    with pytest.raises(NotFound):
        docker_engine.volumes.get("tendril-attempt-1")
    assert (
        docker_engine.containers.list(all=True, ignore_removed=True, filters={"label": "tendril.attempt=attempt-1"})
        == []
    )


async def test_an_attempt_is_found_also_before_everything_is_discovered(runtime: DockerRuntime) -> None:
    await runtime.start_step(work("sleep 1000"), 0)
    restarted = DockerRuntime(site=SITE, edges=["edge"])
    await restarted.open(lambda _: None)
    seen = await restarted.observe("attempt-1")
    assert seen is not None
    assert [step.phase for step in seen.steps] == ["running"]
    await restarted.close()


async def test_what_somebody_else_removes_is_gone(runtime: DockerRuntime, docker_engine: docker.DockerClient) -> None:
    await runtime.start_step(work("sleep 1000"), 0)
    docker_engine.api.remove_container("tendril-attempt-1-step", force=True)
    seen = await runtime.observe("attempt-1")
    assert seen is not None
    assert seen.steps == ()
    docker_engine.volumes.get("tendril-attempt-1").remove()
    assert await runtime.observe("attempt-1") is None
    assert (await runtime.logs("attempt-1", 0, "", 4096)).parts == ()


async def test_agents_that_share_an_engine_do_not_see_each_others_attempts(runtime: DockerRuntime) -> None:
    told: list[str] = []
    neighbour = DockerRuntime(site=SITE, edges=["next-edge"])
    await neighbour.open(told.append)
    try:
        await run(runtime, work("true"))
        assert await neighbour.observe("attempt-1") is None
        assert await neighbour.discover() == []
        own = replace(work("true"), edge="next-edge", attempt="attempt-2")
        await run(neighbour, own)
        await until(lambda: "attempt-2" in told, timeout_s=WAIT_S)
        assert set(told) == {"attempt-2"}
        await neighbour.remove("attempt-2")
    finally:
        await neighbour.close()


@leaks_sockets
@pytest.mark.usefixtures("failing_connections")
async def test_an_engine_that_goes_away_is_transient_and_what_ended_meanwhile_is_told(
    runtime: DockerRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire, told = _Wire(tmp_path / "engine"), asyncio.Queue[str]()
    await wire.open()
    monkeypatch.setenv("DOCKER_HOST", wire.address)
    cut_off = DockerRuntime(site=SITE, edges=["edge"])
    await cut_off.open(told.put_nowait)
    await cut_off.start_step(work("sleep 0.5"), 0)
    await wire.cut()
    with pytest.raises(Transient):
        await cut_off.observe("attempt-1")
    await runtime.stop("attempt-1", 20.0)
    await wire.open()
    async with asyncio.timeout(WAIT_S):
        assert await told.get() == "attempt-1"
    seen = await cut_off.observe("attempt-1")
    assert seen is not None
    assert seen.steps[0].phase == "exited"
    await cut_off.close()
    await wire.cut()


@leaks_sockets
@pytest.mark.usefixtures("failing_connections")
async def test_auto_is_docker_where_an_engine_answers_and_process_elsewhere(
    docker_engine: docker.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(await choose("auto", site=SITE, edges=["edge"], state_dir=tmp_path), DockerRuntime)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody-listens")
    assert isinstance(await choose("auto", site=SITE, edges=["edge"], state_dir=tmp_path), ProcessRuntime)
    nobody = DockerRuntime(site=SITE, edges=["edge"])
    with pytest.raises(Transient):
        await nobody.open(lambda _: None)
    await nobody.close()
