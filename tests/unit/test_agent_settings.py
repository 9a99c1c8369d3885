"""The operator's policy as the environment has it."""

from pathlib import Path

import pytest

from agents.runtimes.policy import Policy
from agents.settings import Settings
from datamodel.errors import Invalid
from datamodel.program import read_settings


@pytest.fixture(autouse=True)
def _needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENDRIL_NATS_URL", "nats://x")


def test_without_a_word_it_is_the_default() -> None:
    assert read_settings(Settings).policy == Policy()


def test_it_is_what_the_variables_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"auths": {}}')
    told = {
        "EDGE_NETWORKS": "bridge, lab,",
        "EDGE_IMAGES": "docker.io/library/*,registry.example/*",
        "EDGE_IMAGE_DIGESTS": "true",
        "EDGE_ROOT": "1",
        "EDGE_PIDS": "64",
        "EDGE_TMP_BYTES": "4096",
        "EDGE_SWAP_BYTES": "5",
        "EDGE_ENGINE_LOG_BYTES": "65536",
        "EDGE_REGISTRY_AUTH": str(tmp_path / "config.json"),
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert read_settings(Settings).policy == Policy(
        networks=("bridge", "lab"),
        images=("docker.io/library/*", "registry.example/*"),
        digests=True,
        root=True,
        pids=64,
        tmp_bytes=4096,
        swap_bytes=5,
        log_bytes=65536,
        registry_auth=tmp_path / "config.json",
    )


@pytest.mark.parametrize("content", [None, "", "[]", "{", "\xff"])
def test_a_file_of_credentials_that_cannot_be_read_is_told_at_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content, encoding="latin-1")
    monkeypatch.setenv("EDGE_REGISTRY_AUTH", str(tmp_path / "config.json"))
    with pytest.raises(Invalid) as raised:
        read_settings(Settings)
    assert raised.value.field == "EDGE_REGISTRY_AUTH"


def test_a_clusters_capacity_is_divided_where_none_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_COUNT", "4")
    divided = read_settings(Settings).with_capacity(10.0, 4096)
    assert (divided.cpu, divided.memory_bytes) == (2.5, 1024)
    monkeypatch.setenv("EDGE_CPU", "7")
    declared = read_settings(Settings).with_capacity(10.0, 4096)
    assert (declared.cpu, declared.memory_bytes) == (7.0, 1024)
