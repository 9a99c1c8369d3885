"""The gateway's settings: nobody but this machine is served."""

import pytest

from datamodel.errors import Invalid
from datamodel.program import read_settings
from gateway.settings import FRONTS, Front, Settings


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENDRIL_DATABASE_URL", "postgresql://x")
    monkeypatch.setenv("TENDRIL_NATS_URL", "nats://x")
    monkeypatch.delenv("TENDRIL_HOST", raising=False)
    monkeypatch.delenv("TENDRIL_PORT", raising=False)
    monkeypatch.delenv("TENDRIL_FRONTS", raising=False)
    monkeypatch.delenv("TENDRIL_ORIGINS", raising=False)


def test_it_serves_on_the_loopback_unless_told_otherwise() -> None:
    settings = read_settings(Settings)
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_loopback_addresses_are_taken(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("TENDRIL_HOST", host)
    assert read_settings(Settings).host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", ""])
def test_other_addresses_are_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("TENDRIL_HOST", host)
    with pytest.raises(Invalid, match=r"TENDRIL_HOST.*authenticated"):
        read_settings(Settings)


@pytest.mark.parametrize(
    ("told", "expected"),
    [(None, FRONTS), ("", frozenset()), ("hades", {"hades"}), (" nexus, jobscheduler,", {"nexus", "jobscheduler"})],
)
def test_front_ends_are_served_as_told(
    monkeypatch: pytest.MonkeyPatch, told: str | None, expected: frozenset[Front]
) -> None:
    if told is not None:
        monkeypatch.setenv("TENDRIL_FRONTS", told)
    assert read_settings(Settings).fronts == expected


def test_web_pages_of_no_other_origin_may_use_the_api_unless_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings(Settings).origins == frozenset()
    monkeypatch.setenv("TENDRIL_ORIGINS", "http://localhost:3000, https://pages.example")
    assert read_settings(Settings).origins == {"http://localhost:3000", "https://pages.example"}


@pytest.mark.parametrize(
    "told", ["*", "null", "pages.example", "https://pages.example/", "https://*.example", "HTTP://A"]
)
def test_what_is_no_origin_is_refused(monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    monkeypatch.setenv("TENDRIL_ORIGINS", f"http://localhost:3000,{told}")
    with pytest.raises(Invalid, match=r"TENDRIL_ORIGINS.*no origin"):
        read_settings(Settings)


def test_a_front_end_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENDRIL_FRONTS", "hades,zeus")
    with pytest.raises(Invalid, match="TENDRIL_FRONTS"):
        read_settings(Settings)
