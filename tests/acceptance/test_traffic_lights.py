"""The example of another model, as its README says to run it: the gateway serves its kinds, and lights follow the program."""

import asyncio
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from signal import SIGTERM
from typing import Any

import httpx
import pytest
import pytest_asyncio

from sim.chaos.machine import ROOT, until

EXAMPLES = ROOT / "examples"
GROUP = "/v1/streets/groups/main"
LIGHTS = "/v1/signals/groups/main/lights"
LONG_S = 600


class Street:
    """Where the example runs."""

    def __init__(self, client: httpx.AsyncClient, environment: dict[str, str], logs: Path) -> None:
        self.client, self._environment, self._logs = client, environment, logs

    @contextmanager
    def running(self, module: str, *arguments: str) -> Iterator[None]:
        """A program of the example, as somebody starts it in a terminal."""
        with (self._logs / f"{'-'.join([module, *arguments])}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments], cwd=EXAMPLES, env=self._environment, stdout=log, stderr=log
            )
            try:
                yield
                assert process.poll() is None, "it ran to the end"
            finally:
                process.send_signal(SIGTERM)
                process.wait(timeout=20)

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        argv = (sys.executable, "-m", *argv)
        return subprocess.run(
            argv, cwd=EXAMPLES, env=self._environment, capture_output=True, text=True, check=False, timeout=60
        )

    async def program(self, *stages: dict[str, Any]) -> None:
        spec = {"lights": ["north", "east"], "program": list(stages)}
        answer = await self.client.put(GROUP, json={"spec": spec})
        assert answer.status_code in {200, 201}, answer.text

    async def shown(self) -> dict[str, str]:
        """What each light says that it shows."""
        answer = await self.client.get(LIGHTS)
        items = answer.json().get("items", [])
        return {item["metadata"]["name"]: item["status"]["colour"] for item in items}


@pytest_asyncio.fixture(scope="module")
async def street(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Street]:
    """`tendril up` with the example's model."""
    directory = tmp_path_factory.mktemp("street")
    home = directory / "home"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TENDRIL_", "EDGE_"))} | {
        "PYTHONPATH": str(ROOT),
        "TENDRIL_MODEL": "traffic_lights.model",
        "TENDRIL_HOME": str(home),
        "TENDRIL_PORT": str(port),
    }
    log = directory / "up.log"
    with log.open("wb") as output:
        up = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deploy.local"), cwd=EXAMPLES, env=environment, stdout=output, stderr=output
        )
    try:

        async def ready() -> bool:
            return b"\nready: the kinds of traffic_lights.model" in log.read_bytes()

        await until(ready, timeout_s=60)
        exports = (home / "run" / "environment").read_text().splitlines()
        words = [word for line in exports if line.startswith("export ") for word in shlex.split(line)[1:]]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            yield Street(client, environment | dict(word.split("=", 1) for word in words), directory)
    finally:
        up.send_signal(SIGTERM)
        async with asyncio.timeout(60):
            await up.wait()


@pytest.mark.timeout(180)
async def test_lights_follow_the_program_of_their_group(street: Street) -> None:
    with ExitStack() as stack:
        for program in (("controller",), ("light", "main", "north"), ("light", "main", "east")):
            stack.enter_context(street.running(f"traffic_lights.{program[0]}", *program[1:]))
        await street.program({"seconds": LONG_S, "green": ["north"]})

        async def is_shown(**colours: str) -> bool:
            return await street.shown() == colours

        await until(lambda: is_shown(north="green", east="red"), timeout_s=30)
        await street.program({"seconds": LONG_S, "green": ["east"]})
        await until(lambda: is_shown(north="red", east="green"), timeout_s=30.0)
        await street.program({"seconds": 0.5, "green": ["north"]}, {"seconds": 0.5, "green": ["east"]})
        for _ in range(2):
            await until(lambda: is_shown(north="green", east="red"), timeout_s=30.0)
            await until(lambda: is_shown(north="red", east="green"), timeout_s=30.0)
        assert (await street.client.delete(GROUP)).status_code == 204
        await until(is_shown, timeout_s=30.0)
    verified = street.run("datamodel")
    assert "the projection is the fold of the log" in verified.stdout, verified
    assert verified.returncode == 0


@pytest.mark.timeout(120)
async def test_the_gateway_serves_what_is_declared_and_no_more(street: Street) -> None:
    wrong = await street.client.put(
        GROUP, json={"spec": {"lights": ["a"], "program": [{"seconds": 1, "green": ["b"]}]}}
    )
    assert wrong.status_code == 422
    assert "'b' is none of its lights" in wrong.text
    await street.program({"seconds": LONG_S, "green": ["north"]})
    query = "{root {streets {groups {edges {node {name spec {lights program {seconds green}}}}}}}}"
    answer = (await street.client.post("/graphql", json={"query": query})).json()
    (edge,) = answer["data"]["root"]["streets"]["groups"]["edges"]
    assert edge["node"] == {
        "name": "main",
        "spec": {"lights": ["north", "east"], "program": [{"seconds": LONG_S, "green": ["north"]}]},
    }
    assert (await street.client.put(f"{LIGHTS}/north", json={"spec": {"colour": "green"}})).status_code == 405
    assert (await street.client.get("/v1/jobs")).status_code == 404
    document = (await street.client.get("/openapi.json")).json()
    one, light = "/v1/streets/groups/{group}", "/v1/signals/groups/{signalGroup}/lights/{light}"
    assert document["paths"][one].keys() == {"get", "put", "patch", "delete"}
    assert document["paths"]["/v1/streets/groups"].keys() == {"get", "post"}
    assert document["paths"][light].keys() == {"get"}
    for word in ("status", "history", "diff"):
        assert {f"{one}/{word}", f"{light}/{word}"} <= document["paths"].keys()
    patch = {"metadata": {"labels": {"town": "ulm"}}}
    patched = await street.client.patch(GROUP, json=patch, headers={"Content-Type": "application/merge-patch+json"})
    assert patched.status_code == 200, patched.text
    listed = (await street.client.get("/v1/streets/groups", params={"labelSelector": "town=ulm"})).json()
    assert [item["metadata"]["name"] for item in listed["items"]] == ["main"]
    (newest, *_) = (await street.client.get(f"{GROUP}/history")).json()["items"]
    assert (newest["op"], newest["part"]) == ("labelsChanged", {"labels": {"town": "ulm"}})
    moments = {"from": newest["position"] - 1, "to": newest["position"]}
    (changed,) = (await street.client.get(f"{GROUP}/diff", params=moments)).json()["items"]
    assert changed["change"] == "changed"
    preview = (await street.client.delete(GROUP, params={"preview": "true"})).json()
    assert preview["deleted"] == ["/streets/groups/main"]
    refused = street.run("reconcilers")
    assert refused.returncode == 1
    assert "reconcilers works on the kinds of another model than TENDRIL_MODEL names" in refused.stderr
