"""What programs are told by the environment: settings that work, or an error that names the variable."""

import math
import os
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic_settings import BaseSettings

import agents.settings
import gateway.settings
import reconcilers.settings
from agents.__main__ import _registrations
from datamodel.errors import Invalid
from datamodel.program import read_settings
from datamodel.scheduling import wire
from reconcilers.planning.settlement import settle
from tests.fuzz.budget import budget
from tests.fuzz.documents import anything

NEEDED = {"TENDRIL_DATABASE_URL": "postgresql://x", "TENDRIL_NATS_URL": "nats://x"}

_numbers = (
    st.integers().map(str) | st.floats().map(repr) | st.sampled_from(["inf", "nan", "1e400", "9" * 5_000, "٣", "1_0"])
)
_words = st.text(max_size=8) | st.sampled_from(["e", "E", "a" * 60, "a" * 63, "127.0.0.1", "::1", "0.0.0.0", "auto"])
_labels = anything(st.dictionaries(st.sampled_from(["a", "zone"]), st.sampled_from(["", "b"]))).map(os.fsdecode)
_values = (_numbers | _words | _labels).filter(lambda text: "\x00" not in text and is_a_value(text))


def is_a_value(text: str) -> bool:
    try:
        return len(os.fsencode(text)) < 128 * 1024
    except UnicodeEncodeError:
        return False


def variables(kind: type[BaseSettings]) -> list[str]:
    prefix = kind.model_config.get("env_prefix", "")
    return [f"{prefix}{name}".upper() for name in kind.model_fields]


@pytest.mark.parametrize("kind", [gateway.settings.Settings, reconcilers.settings.Settings, agents.settings.Settings])
@budget(40)
@given(data=st.data())
def test_a_wrong_variable_is_named(kind: type[BaseSettings], data: st.DataObject) -> None:
    told = data.draw(st.dictionaries(st.sampled_from(variables(kind)), _values, max_size=3))
    settings = read(kind, told)
    if isinstance(settings, Invalid):
        assert settings.field in {*told, *variables(kind)}
        assert settings.message.encode()
    else:
        numbers = [value for value in settings.model_dump().values() if isinstance(value, float)]
        assert all(math.isfinite(number) for number in numbers)


@budget(50)
@given(
    told=st.fixed_dictionaries(
        {},
        optional={
            "EDGE_NAME": st.from_regex(r"\A[a-z]{1,63}\Z") | _words,
            "EDGE_COUNT": st.sampled_from(["1", "2", "11"]),
            "EDGE_CPU": st.sampled_from(["0.1", "4096", "5000", "inf", "1e-320"]) | _numbers,
            "EDGE_MEMORY_BYTES": st.sampled_from(["1", str(2**50), str(2**50 + 1)]) | _numbers,
            "EDGE_POWER_W": st.sampled_from(["1", "1e9", "1e10"]) | _numbers,
            "EDGE_LABELS": _labels,
        },
    ).filter(lambda told: all("\x00" not in value and is_a_value(value) for value in told.values()))
)
@example(told={"EDGE_LABELS": "no JSON"})
@example(told={"EDGE_LABELS": "[" * 100_000})
@example(told={"EDGE_NAME": "a" * 63, "EDGE_COUNT": "2"})
@example(told={"EDGE_CPU": "inf"})
@example(told={"EDGE_LABELS": msgspec.json.encode({f"{'p' * 200}{n}/n": "v" for n in range(64)}).decode()})
def test_what_an_agent_is_told_the_hub_can_believe(told: dict[str, str]) -> None:
    settings = read(agents.settings.Settings, told)
    if isinstance(settings, Invalid):
        assert settings.field in {*told, "EDGE_NAME"}
        return
    reports = [msgspec.Raw(wire.encode(report)) for report in _registrations(settings, "process")]
    found = settle(settings.edge_site, settings.edge_name, "1", reports)
    assert found.rejected == []
    assert len(found.registrations) == settings.edge_count


@pytest.mark.parametrize(
    ("kind", "variable", "value"),
    [
        (reconcilers.settings.Settings, "TENDRIL_EXPORT_LOG", "9" * 300),
        (agents.settings.Settings, "EDGE_SIMULATED_TRACE", "\udcff{}"),
    ],
)
def test_what_no_file_can_be_called_is_named(kind: type[BaseSettings], variable: str, value: str) -> None:
    found = read(kind, {variable: value})
    assert isinstance(found, Invalid)
    assert found.field == variable


def read(kind: type[Any], told: dict[str, str]) -> Any:
    """The settings, or why there are none."""
    with patch.dict(os.environ, {**NEEDED, **told}, clear=True):
        try:
            return read_settings(kind)
        except Invalid as error:
            return error
