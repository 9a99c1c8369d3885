"""What the simulated runtime is told by the environment."""

from pathlib import Path

import pytest

from agents.runtimes.luck import Chances
from agents.settings import Settings
from datamodel.errors import Invalid
from datamodel.program import read_settings

EXAMPLE = Path(__file__).parents[2] / "examples" / "simulated" / "cloudy.csv"


@pytest.fixture(autouse=True)
def _hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENDRIL_NATS_URL", "nats://127.0.0.1:4222")


def test_without_any_nothing_befalls_a_chunk() -> None:
    settings = read_settings(Settings)
    assert settings.chances(5) == Chances(seed=5)
    assert settings.edge_simulated_trace is None


def test_chances_and_the_trace_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "TRACE": str(EXAMPLE),
        "FAILING": "0.1",
        "FAIL_CODE": "9",
        "FAIL_AT": "0.5",
        "SLOW_SIGMA": "0.4",
        "STRAGGLING": "0.02",
        "STRAGGLER_FACTOR": "3",
    }.items():
        monkeypatch.setenv(f"EDGE_SIMULATED_{name}", value)
    settings = read_settings(Settings)
    assert settings.chances(5) == Chances(5, 0.1, 9, 0.5, 0.4, 0.02, 3.0)
    assert settings.edge_simulated_trace is not None
    assert settings.edge_simulated_trace.period_s == 125.0


def test_whether_power_is_told_and_which_images_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not read_settings(Settings).edge_simulated_tells_power
    monkeypatch.setenv("EDGE_SIMULATED_TELLS_POWER", "1")
    monkeypatch.setenv("EDGE_SIMULATED_IMAGES", "busybox, quay.io/a/b:1,")
    settings = read_settings(Settings)
    assert settings.edge_simulated_tells_power
    assert settings.edge_simulated_images == ("busybox", "quay.io/a/b:1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FAILING", "1.1"),
        ("FAIL_CODE", "0"),
        ("FAIL_CODE", "256"),
        ("FAIL_AT", "-0.1"),
        ("SLOW_SIGMA", "nan"),
        ("STRAGGLING", "inf"),
        ("STRAGGLER_FACTOR", "0.5"),
        ("SEED", "x"),
        ("TRACE", "/no/such/file"),
    ],
)
def test_what_is_out_of_range_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"EDGE_SIMULATED_{name}", value)
    with pytest.raises(Invalid, match=f"EDGE_SIMULATED_{name}"):
        read_settings(Settings)


def test_a_trace_is_refused_by_line_and_field(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "day.csv").write_text("seconds,watts\n0,5\n7,-2\n")
    monkeypatch.setenv("EDGE_SIMULATED_TRACE", str(tmp_path / "day.csv"))
    with pytest.raises(Invalid, match=r"EDGE_SIMULATED_TRACE: .*day\.csv: line 3, field watts: -2"):
        read_settings(Settings)
