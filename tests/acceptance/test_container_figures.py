"""What is measured of containers, with a few of them: the ways that are compared do the same, and nothing is left."""

import subprocess
from typing import Any

import docker
import pytest

from agents.runtimes.docker.container import container_options, host_options
from sim.bench.container_floors import POLICY, docker_run_argv, work
from sim.bench.containers import compared, site
from sim.bench.engine import engine
from sim.bench.leaks import leaks

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_engine")]

CONTAINERS = 60


@pytest.mark.timeout(300)
async def test_the_ways_are_compared_and_nothing_is_left_of_many_containers_in_a_row() -> None:
    async with site() as at:
        figures = await compared(at, rounds=1, chunks=2, starts=1)
        for way in ("tendrilPerS", "directPerS", "dockerRunPerS"):
            assert figures["containers"][way]["p50"] > 0
        for way in ("submittedToStarted", "desiredToStarted", "direct", "dockerRun"):
            assert figures["containerStartMs"][way]["p50"] > 0
        left = (await leaks(at, CONTAINERS))["containersInARow"]
    assert left["count"] == CONTAINERS
    assert left["leaked"] == [], left


def test_docker_run_has_the_flags_of_a_step(docker_engine: docker.DockerClient) -> None:
    """All but how a floor cleans up after itself, and that its volume has no name."""
    with engine() as api:
        one = work("flags-1")
        host_config = api.create_host_config(**host_options(one, 0, POLICY))
        ours = api.create_container(**container_options(one, 0, POLICY, ""), host_config=host_config)["Id"]
        known = _told(api, ours)
        api.remove_container(ours, v=True)
        api.remove_volume("tendril-flags-1")
        argv = ["create" if word == "run" else word for word in docker_run_argv("flags-1")]
        made = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
        told = _told(api, made)
        api.remove_container(made, v=True)
    assert told == known


def _told(api: docker.APIClient, container: str) -> dict[str, Any]:
    found = api.inspect_container(container)
    config, host = found["Config"], found["HostConfig"]
    differing = {"AutoRemove", "Binds", "ContainerIDFile", "ConsoleSize", "RestartPolicy"}  # "no" is its default
    kept = {name: value or None for name, value in host.items() if name not in differing}
    said = {name: config[name] for name in ("User", "Labels", "WorkingDir", "Image")}
    return {**kept, **said, "env": sorted(config["Env"]), "argv": [found["Path"], *found["Args"]]}
