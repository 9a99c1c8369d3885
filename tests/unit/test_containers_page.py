"""docs/containers.md against the code: its example, its reasons, its variables."""

import json
import re

import agents.settings
from agents.runtimes import reasons
from agents.runtimes.policy import Policy
from datamodel.parts import normal_spec
from datamodel.scheduling.jobs import Job
from datamodel.scheduling.steps import Limits, Step
from sim.chaos.machine import ROOT

PAGE = (ROOT / "docs/containers.md").read_text()


def test_its_job_is_one() -> None:
    (text,) = re.findall(r"```json\n(.+?)```", PAGE, re.DOTALL)
    document = json.loads(text)
    assert document.pop("name")
    spec = normal_spec(Job, document)
    assert {**spec, **document, "steps": spec["steps"]} == spec


def test_it_tells_every_reason() -> None:
    known = {value for name, value in vars(reasons).items() if name.isupper()}
    assert not [reason for reason in sorted(known) if f"`{reason}`" not in PAGE]


def test_it_tells_every_field() -> None:
    fields = [*(f"limits.{field.alias}" for field in Limits.model_fields.values())]
    fields += [str(field.alias or name) for name, field in Step.model_fields.items() if name not in ("name", "env")]
    assert not [field for field in fields if f"`{field}`" not in PAGE]


def test_it_tells_every_variable_of_the_policy_and_its_default() -> None:
    settings = agents.settings.Settings(tendril_nats_url="nats://x")
    assert settings.policy == Policy()
    named = [name for name in agents.settings.Settings.model_fields if name.removeprefix("edge_") in _ASKED]
    assert len(named) == len(_ASKED)
    assert not [name for name in named if f"`{name.upper()}`" not in PAGE]


_ASKED = {
    "networks",
    "images",
    "image_digests",
    "registry_auth",
    "root",
    "pids",
    "tmp_bytes",
    "swap_bytes",
    "engine_log_bytes",
}
