"""An engine that is away, or hangs, is noticed; no engine is needed for that."""

import socket
import time
from pathlib import Path

import pytest

from agents.runtimes.docker.runtime import DockerRuntime
from datamodel.errors import Transient


async def test_an_engine_that_is_not_there_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(Transient, match="does not answer"):
        await DockerRuntime(site="s", edges=["e"]).check()


async def test_an_engine_that_hangs_is_noticed_within_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "silent.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    began_s = time.monotonic()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        with pytest.raises(Transient, match="does not answer"):
            await DockerRuntime(site="s", edges=["e"]).check()
    assert time.monotonic() - began_s < 20
