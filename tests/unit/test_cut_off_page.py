"""docs/cut-off.md against the code: its job, its fields, its phases, its words and addresses."""

import json
import re

import pytest

from datamodel.parts import normal_spec
from datamodel.scheduling.attempts import ABANDONED, HOST_OFF, AttemptStatus
from datamodel.scheduling.cutoff import CutOff
from datamodel.scheduling.edges import EdgeStatus
from datamodel.scheduling.giving_up import UNHEARD
from datamodel.scheduling.jobs import Job
from datamodel.scheduling.service import SiteConfig
from datamodel.scheduling.silence import FIELDS
from gateway.graphql.edges import NAMES
from gateway.words import WORDS
from reconcilers.planning.contact import CONDITION
from reconcilers.settings import Settings
from sim.chaos.machine import ROOT

PAGE = (ROOT / "docs/cut-off.md").read_text()


def literals(part: type[AttemptStatus | CutOff | EdgeStatus], field: str) -> tuple[str, ...]:
    schema = part.model_json_schema()["properties"][field]
    return tuple(schema["enum"])


def test_its_job_is_one() -> None:
    (text,) = re.findall(r"```json\n(.+?)```", PAGE, re.DOTALL)
    document = json.loads(text)
    assert document.pop("name")
    assert normal_spec(Job, document)["cutOff"] == document["cutOff"]


def test_its_site_is_one_and_its_defaults_are_those() -> None:
    (text,) = re.findall(r"-d '(\{.+?\})'\n", PAGE, re.DOTALL)
    assert set(normal_spec(SiteConfig, json.loads(text)["spec"])) >= set(FIELDS)
    fields = Settings.model_fields
    times = [fields[name].default for name in ("suspect_after_s", "disconnected_after_s", "lost_after_s")]
    assert times == [5.0, 30.0, 900.0]
    assert all(f"`{name}`" in PAGE for name in FIELDS)
    assert all(text in PAGE for text in ("5 s |", "30 s |", "15 minutes;"))


@pytest.mark.parametrize(
    "word",
    [
        *literals(EdgeStatus, "phase"),
        *literals(CutOff, "policy"),
        *(settlement for settlement in literals(AttemptStatus, "settlement") if settlement),
        *(field.alias or "" for field in CutOff.model_fields.values()),
        *sorted(UNHEARD),
        *NAMES.values(),
        "adoptAttempt",
        ABANDONED,
        HOST_OFF,
        CONDITION,
    ],
)
def test_it_tells_every_word(word: str) -> None:
    assert f"`{word}`" in PAGE


@pytest.mark.parametrize("says", WORDS)
def test_it_tells_how_each_word_is_said(says: str) -> None:
    assert f"tendril {says}" in PAGE
    assert f"/v1/edges/SITE/EDGE/{says}?reason=" in PAGE
