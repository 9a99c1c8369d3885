"""docs/schedules.md against the code: its documents, its fields, its reasons."""

import json
import re

from datamodel.parts import normal_spec
from datamodel.scheduling.beginning import AFTER_LIMIT
from datamodel.scheduling.jobs import Job
from datamodel.scheduling.schedules import MomentCounts, Schedule, ScheduleSpec
from reconcilers.expiry import NOTICED_S
from sim.chaos.machine import ROOT

PAGE = (ROOT / "docs/schedules.md").read_text()


def test_its_documents_are_what_they_say() -> None:
    job, schedule = [json.loads(text) for text in re.findall(r"```json\n(.+?)```", PAGE, re.DOTALL)]
    assert job.pop("name")
    assert normal_spec(Job, job)["after"] == [
        {"job": "count", "on": "succeeded"},
        {"job": "night/clean", "on": "finished"},
    ]
    spec = normal_spec(Schedule, schedule["spec"])
    assert {name: spec[name] for name in schedule["spec"] if name != "job"} == {
        name: value for name, value in schedule["spec"].items() if name != "job"
    }


def test_it_tells_every_field_of_a_schedule() -> None:
    names = [field.alias or name for name, field in ScheduleSpec.model_fields.items()]
    assert not [name for name in names if f"| `{name}` |" not in PAGE]
    assert not [name for name in MomentCounts.model_fields if f"`{name}`" not in PAGE]


def test_it_tells_every_reason() -> None:
    known: set[str] = set()
    for module in ("gates", "schedules"):
        source = (ROOT / f"reconcilers/planning/{module}.py").read_text()
        known |= set(re.findall(r'"((?:Waiting|Dependency|NoMoment|Still|Missed|Made|Suspended|Refused)\w*)"', source))
    assert {"WaitingForTime", "DependencyLater", "StillRunning", "NoMomentYet", "Refused"} <= known
    assert not [reason for reason in sorted(known) if f"`{reason}`" not in PAGE]


def test_its_numbers_are_the_code_s() -> None:
    assert f"up to {AFTER_LIMIT} jobs" in PAGE
    assert {10.0: "ten seconds"}[NOTICED_S] in PAGE
