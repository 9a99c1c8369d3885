"""docs/lifecycle.md against the code: its job, its fields, its reasons."""

import json
import re

import pytest

from datamodel.parts import normal_spec
from datamodel.scheduling import ending
from datamodel.scheduling.ending import Completion, Deadlines
from datamodel.scheduling.jobs import Job
from datamodel.scheduling.retrying import RetryPolicy
from sim.chaos.machine import ROOT

PAGE = (ROOT / "docs/lifecycle.md").read_text()


def test_its_job_is_one() -> None:
    (text,) = re.findall(r"```json\n(.+?)```", PAGE, re.DOTALL)
    document = json.loads(text)
    assert document.pop("name")
    spec = normal_spec(Job, document)
    assert {**spec["retryPolicy"], **document["retryPolicy"]} == spec["retryPolicy"]
    assert spec["completion"] == document["completion"]
    assert spec["deadlines"] == document["deadlines"]


@pytest.mark.parametrize("part", [RetryPolicy, Completion, Deadlines])
def test_it_tells_every_field(part: type[RetryPolicy | Completion | Deadlines]) -> None:
    assert not [field.alias for field in part.model_fields.values() if f"`{field.alias}`" not in PAGE]


def test_it_tells_every_reason_that_a_job_fails_with() -> None:
    reasons = {value for name, value in vars(ending).items() if name.isupper() and isinstance(value, str)}
    assert reasons == {
        "DeadlineExceeded",
        "QueueDeadlineExceeded",
        "EnoughSucceeded",
        "RetryBudgetSpent",
        "TooManyChunksFailed",
    }
    assert not [reason for reason in reasons - {"EnoughSucceeded"} if f"`{reason}`" not in PAGE]
