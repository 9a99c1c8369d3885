"""How the Docker runtime comes by images: from a registry of this test's own, from nobody, and not by every name."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import ImageNotFound
from msgspec.structs import replace

from agents.runtimes.docker.runtime import DockerRuntime
from agents.runtimes.policy import Policy
from agents.runtimes.protocol import Step, Work
from agents.runtimes.reasons import IMAGE_MISSING, IMAGE_NEVER_PULLED, PULL_FAILED
from sim.bench.busybox import busybox_tar
from tests.containers import WAIT_S, opened, run
from tests.registry import Registry
from tests.services import IMAGE
from tests.waiting import until

SITE = "site-docker-images"
SOON_S = 10.0
STALL_S = 1.5

pytestmark = pytest.mark.docker


@pytest.fixture(params=["", "user:password"])
def registry(request: pytest.FixtureRequest, docker_engine: docker.DockerClient) -> Iterator[Registry]:
    """Open, or for those who can log in."""
    with Registry(busybox_tar(), request.param) as registry:
        yield registry
        for image in docker_engine.images.list(filters={"reference": f"{registry.address}/*"}):
            docker_engine.images.remove(image.attrs["Id"], force=True)


def login(registry: Registry, folder: Path) -> Policy:
    if not registry.login:
        return Policy()
    (folder / "config.json").write_text(registry.credentials())
    return Policy(registry_auth=folder / "config.json")


def work(image: str, number: int = 0, **fields: Any) -> Work:
    return Work(SITE, "edge", f"images-{number}", (Step("step", image, "true", **fields),), {})


async def test_an_image_is_pulled_once_and_with_the_operators_credentials(registry: Registry, tmp_path: Path) -> None:
    async with opened(SITE, login(registry, tmp_path)) as runtime:
        works = [work(f"{registry.address}/box:1", number) for number in range(4)]
        found = await asyncio.gather(*(run(runtime, one) for one in works))
        assert [one.steps[0].exit_code for one in found] == [0] * 4
        assert registry.asked["blobs"] == 2
        assert runtime.pulled.is_set()
        assert {f"{registry.address}/box:1", f"{registry.address}/box@{registry.digest}"} <= set(await runtime.images())
        asked = registry.asked["manifests"]
        assert (await run(runtime, work(f"{registry.address}/box:1", 9))).steps[0].exit_code == 0
        assert registry.asked["manifests"] == asked
        always = work(f"{registry.address}/box:1", 10, pull_policy="Always")
        assert (await run(runtime, always)).steps[0].exit_code == 0
        assert registry.asked["manifests"] > asked


async def test_an_image_by_digest_is_that_one(registry: Registry, tmp_path: Path) -> None:
    policy = replace(login(registry, tmp_path), digests=True)
    async with opened(SITE, policy) as runtime:
        pinned = work(f"{registry.address}/box@{registry.digest}")
        assert runtime.refuses(pinned) is None
        assert (await run(runtime, pinned)).steps[0].exit_code == 0
        other = work(f"{registry.address}/box@sha256:{'0' * 64}", 1)
        assert (await run(runtime, other)).steps[0].reason == PULL_FAILED


async def test_an_image_that_no_registry_has_is_an_end_with_a_reason(registry: Registry, tmp_path: Path) -> None:
    async with opened(SITE, login(registry, tmp_path)) as runtime:
        began_s = time.monotonic()
        (step,) = (await run(runtime, work(f"{registry.address}/missing/box"))).steps
        assert step.reason == IMAGE_MISSING
        assert step.message
        assert time.monotonic() - began_s < SOON_S


async def test_what_must_not_be_pulled_is_not(registry: Registry) -> None:
    async with opened(SITE) as runtime:
        (step,) = (await run(runtime, work(f"{registry.address}/box", pull_policy="Never"))).steps
        assert (step.reason, step.message) == (IMAGE_NEVER_PULLED, f"no image {registry.address}/box on this edge")
        assert (await run(runtime, work(IMAGE, 1, pull_policy="Never"))).steps[0].exit_code == 0
    assert not registry.asked


@pytest.mark.parametrize("registry", ["user:password"], indirect=True)
@pytest.mark.parametrize("content", [None, "no JSON", '{"auths": {"elsewhere": {"auth": "eDp5"}}}', '{"auths": 7}'])
async def test_without_a_login_it_fails_and_says_nothing_of_the_file(
    registry: Registry, tmp_path: Path, content: str | None
) -> None:
    policy = Policy(registry_auth=tmp_path / "config.json" if content is not None else None)
    (tmp_path / "config.json").write_text(content or "")
    async with opened(SITE, policy) as runtime:
        (step,) = (await run(runtime, work(f"{registry.address}/box"))).steps
        assert step.reason == PULL_FAILED
        assert step.message
        assert (content or "no JSON") not in step.message


async def test_where_no_registry_answers_it_fails_soon(docker_engine: docker.DockerClient) -> None:
    async with opened(SITE) as runtime:
        began_s = time.monotonic()
        (step,) = (await run(runtime, work("127.0.0.1:9/box"))).steps
        assert step.reason == PULL_FAILED
        assert "connection refused" in step.message
        assert time.monotonic() - began_s < SOON_S


@pytest.mark.parametrize("registry", [""], indirect=True)
async def test_a_registry_that_does_not_answer_keeps_nobody_waiting(registry: Registry) -> None:
    registry.answers.clear()
    async with opened(SITE) as runtime:
        waiting = [work(f"{registry.address}/box:{number}", number) for number in range(20)]
        async with asyncio.timeout(SOON_S):
            await asyncio.gather(*(runtime.start_step(one, 0) for one in waiting))
            found = [await runtime.observe(one.attempt) for one in waiting]
            assert [one.steps for one in found if one is not None] == [()] * 20
            assert (await run(runtime, work(IMAGE, 99))).steps[0].exit_code == 0
        await runtime.remove(waiting[0].attempt)
        assert await runtime.observe(waiting[0].attempt) is None
        registry.answers.set()
        assert (await run(runtime, waiting[-1])).steps[0].exit_code == 0


@pytest.mark.parametrize("registry", [""], indirect=True)
async def test_a_pull_that_stalls_amid_a_layer_fails_and_can_be_had_again(registry: Registry) -> None:
    registry.sends.clear()
    async with opened(SITE, stall_s=STALL_S) as runtime:
        began_s = time.monotonic()
        (step,) = (await run(runtime, work(f"{registry.address}/box"))).steps
        assert (step.reason, step.message) == (PULL_FAILED, f"the pull made no progress for {STALL_S:g} s")
        assert STALL_S <= time.monotonic() - began_s < SOON_S
        registry.sends.set()
        assert (await run(runtime, work(f"{registry.address}/box", 1))).steps[0].exit_code == 0


@pytest.mark.parametrize("registry", [""], indirect=True)
async def test_leaving_while_an_image_is_pulled_takes_no_longer(registry: Registry) -> None:
    registry.answers.clear()
    runtime = DockerRuntime(site=SITE, edges=["edge"])
    await runtime.open(lambda _: None)
    await runtime.start_step(work(f"{registry.address}/box"), 0)
    await until(lambda: registry.asked["manifests"] > 0, timeout_s=WAIT_S)
    async with asyncio.timeout(SOON_S):
        await runtime.close()


async def test_an_image_has_no_other_name_than_its_own(docker_engine: docker.DockerClient) -> None:
    """An engine finds it by its id too, by which it would pass for one of another registry."""
    identity = docker_engine.images.get(IMAGE).short_id.removeprefix("sha256:")
    async with opened(SITE, Policy(images=("docker.io/library/*",))) as runtime:
        by_id = work(identity, pull_policy="Never")
        assert runtime.refuses(by_id) is None
        assert (await run(runtime, by_id)).steps[0].reason == IMAGE_NEVER_PULLED


async def test_an_image_that_is_removed_is_missing_again(docker_engine: docker.DockerClient) -> None:
    docker_engine.api.tag(IMAGE, "tendril-test/fleeting", "1")
    fleeting = work("tendril-test/fleeting:1", pull_policy="Never")
    async with opened(SITE) as runtime:
        assert (await run(runtime, fleeting)).steps[0].exit_code == 0
        with contextlib.suppress(ImageNotFound):
            docker_engine.images.remove("tendril-test/fleeting:1", force=True)
        again = replace(fleeting, attempt="images-1")
        assert (await run(runtime, again)).steps[0].reason == IMAGE_NEVER_PULLED
