"""What each program is told when everything runs on one machine."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from datamodel.errors import Invalid
from datamodel.feed.access import Access
from datamodel.program import read_settings
from deploy.local.nats import ROLES
from deploy.local.programs import Programs
from deploy.local.settings import Settings

GIB = 1024**3


def programs(*, inherited: dict[str, str] | None = None, edges: int = 3, tls: bool = False) -> Programs:
    ca = Path("/tls/CA") if tls else None
    return Programs(
        settings=Settings(edges=edges),
        home=Path("/data"),
        database_url="postgresql://owner@/tendril",
        accesses={role: Access("nats://host", Path(f"/data/{role}.creds"), ca) for role in ROLES},
        leaf_url="nats-leaf://host",
        authority=Path("/data/authority.json"),
        secrets_key=Path("/data/secrets.key"),
        secrets_public_key="public",
        inherited=inherited or {},
        cpu_count=8,
        memory_bytes=16 * GIB,
    )


@pytest.fixture(autouse=True)
def _undeclared(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EDGE_CPU", "EDGE_MEMORY_BYTES", "EDGE_POWER_W", "TENDRIL_EDGES", "TENDRIL_PORT", "TENDRIL_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_the_machine_is_divided_among_the_edges() -> None:
    agents = programs(edges=4).agents()
    assert [agent.name for agent in agents] == ["edge-1", "edge-2", "edge-3", "edge-4"]
    for agent in agents:
        assert agent.env["EDGE_CPU"] == "2.0"
        assert agent.env["EDGE_MEMORY_BYTES"] == str(4 * GIB)
        assert agent.env["EDGE_POWER_W"] == "37.0"


def test_a_declared_capacity_is_every_edges_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_CPU", "0.5")
    monkeypatch.setenv("EDGE_MEMORY_BYTES", "1000")
    monkeypatch.setenv("EDGE_POWER_W", "5")
    for agent in programs().agents():
        assert (agent.env["EDGE_CPU"], agent.env["EDGE_MEMORY_BYTES"], agent.env["EDGE_POWER_W"]) == (
            "0.5",
            "1000",
            "5.0",
        )


def test_with_a_certificate_all_programs_are_told_who_vouches_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CERTIFICATE", "KEY", "CA"):
        monkeypatch.setenv(f"TENDRIL_NATS_{name}", f"/tls/{name}")
    tls = Settings().tls
    assert tls is not None
    assert (tls.certificate, tls.key, tls.ca) == (Path("/tls/CERTIFICATE"), Path("/tls/KEY"), Path("/tls/CA"))
    known = programs(tls=True)
    for child in (known.reconcilers(), known.gateway(), *known.agents()):
        assert child.env["TENDRIL_NATS_CA"] == "/tls/CA"
    assert known.by_hand()["TENDRIL_NATS_CA"] == "/tls/CA"
    assert "TENDRIL_NATS_CA" not in programs(inherited={"TENDRIL_NATS_CA": "/mine"}).gateway().env


def test_a_certificate_without_its_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENDRIL_NATS_CERTIFICATE", "/tls/CERTIFICATE")
    with pytest.raises(ValidationError, match="TENDRIL_NATS_KEY and TENDRIL_NATS_CA belong together"):
        Settings()


def test_an_agent_knows_nats_alone() -> None:
    for agent in programs(inherited={"TENDRIL_DATABASE_URL": "postgresql://secret"}).agents():
        assert "TENDRIL_DATABASE_URL" not in agent.env
        assert agent.env["TENDRIL_NATS_URL"] == "nats://host"
        assert agent.env["EDGE_JOIN_TOKEN_FILE"] == "/data/run/join-token"
        assert "TENDRIL_NATS_CREDS" not in agent.env
        assert "TENDRIL_NATS_AUTHORITY" not in agent.env
        assert agent.env["EDGE_HOME"] == f"/data/edges/{agent.name}"


def test_each_program_has_the_credential_of_its_role() -> None:
    assert programs().gateway().env["TENDRIL_NATS_CREDS"] == "/data/gateway.creds"
    assert programs().reconcilers().env["TENDRIL_NATS_CREDS"] == "/data/reconcilers.creds"
    assert "TENDRIL_NATS_CREDS" not in programs().migrations().env


def test_what_else_the_environment_declares_reaches_the_programs() -> None:
    inherited = {"EDGE_RUNTIME": "simulated", "EDGE_COUNT": "10", "EDGE_NAME": "other"}
    for agent in programs(inherited=inherited).agents():
        assert agent.env["EDGE_RUNTIME"] == "simulated"
        assert agent.env["EDGE_NAME"] == agent.name
        assert "EDGE_COUNT" not in agent.env


@pytest.mark.parametrize(
    ("name", "value"), [("TENDRIL_PORT", "0"), ("TENDRIL_EDGES", "none"), ("EDGE_MEMORY_BYTES", "-1")]
)
def test_a_malformed_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Invalid) as caught:
        read_settings(Settings)
    assert [where for where, _ in caught.value.details] == [name]


def test_what_is_wrong_with_several_variables_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENDRIL_NATS_KEY", "key.pem")
    says = (
        "the environment is not right: TENDRIL_NATS_CERTIFICATE, TENDRIL_NATS_KEY and TENDRIL_NATS_CA belong together"
    )
    with pytest.raises(Invalid, match=says):
        read_settings(Settings)


def test_the_key_of_secrets_is_told_to_one_program_alone() -> None:
    told = {"TENDRIL_SECRETS_KEYS": "private", "TENDRIL_SECRETS_KEY_FILE": "/elsewhere"}
    mine = programs(inherited=told)
    assert mine.reconcilers().env["TENDRIL_SECRETS_KEY_FILE"] == "/data/secrets.key"
    assert mine.gateway().env["TENDRIL_SECRETS_PUBLIC_KEY"] == "public"
    for child in (mine.migrations(), mine.gateway(), *mine.agents()):
        assert not [name for name in child.env if name in told]
