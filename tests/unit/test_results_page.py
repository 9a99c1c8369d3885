"""docs/results.md against the code: its jobs, its reasons, its variables."""

import json
import re

import agents.settings
import reconcilers.settings
from agents.runtimes import reasons
from datamodel.parts import normal_spec
from datamodel.scheduling.jobs import Job
from sim.chaos.machine import ROOT

PAGE = (ROOT / "docs/results.md").read_text()


def test_its_jobs_are_some() -> None:
    texts = re.findall(r"```json\n(.+?)```", PAGE, re.DOTALL)
    assert len(texts) == 2
    for text in texts:
        document = json.loads(text)
        assert document.pop("name")
        spec = normal_spec(Job, document)
        assert {**spec, **document, "steps": spec["steps"]} == spec


def test_it_tells_every_reason() -> None:
    known = {value for name, value in vars(reasons).items() if name.startswith(("ARTIFACT_", "INPUT_"))}
    source = (ROOT / "reconcilers/planning/inputs.py").read_text()
    known |= set(re.findall(r'(?:return|Never\()\s*"([A-Z][A-Za-z]+)"', source))
    assert {"SourceMissing", "TooManyInputs"} <= known
    assert not [reason for reason in sorted(known) if f"`{reason}`" not in PAGE]


def test_it_tells_every_variable() -> None:
    named = [f"`{name.upper()}`" for name in agents.settings.Settings.model_fields if re.search("artifact|input", name)]
    named += [f"`TENDRIL_{name.upper()}`" for name in reconcilers.settings.Settings.model_fields if "artifacts" in name]
    assert len(named) == 5
    assert not [name for name in named if name not in PAGE]
