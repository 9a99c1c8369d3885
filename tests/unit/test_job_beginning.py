"""What a job may say of its beginning and its end, and what is refused, by field."""

from typing import Any

import pytest

from datamodel.command import Command
from datamodel.errors import Invalid
from datamodel.parts import normal_spec
from datamodel.scheduling.beginning import AFTER_LIMIT, job_path, may_be_held
from datamodel.scheduling.jobs import Job
from datamodel.seeds import seed
from tests.graph import JOBS, STEPS, done, job, memory_store, send

LATER = {"after": [{"job": "a"}], "startAt": "2030-01-01T12:00:00+02:00", "ttlAfterFinishS": 0}


@pytest.mark.parametrize(
    ("spec", "pointer", "message"),
    [
        ({"after": []}, "/spec/after", "at least 1"),
        ({"after": [{"job": f"j{k}"} for k in range(AFTER_LIMIT + 1)]}, "/spec/after", "at most"),
        ({"after": [{"job": "a"}, {"job": "a", "on": "finished"}]}, "/spec/after", "named twice"),
        ({"after": [{"job": "A"}]}, "/spec/after/0/job", "match"),
        ({"after": [{"job": "g/a/b"}]}, "/spec/after/0/job", "match"),
        ({"after": [{"job": "a", "on": "failed"}]}, "/spec/after/0/on", "finished"),
        ({"after": [{}]}, "/spec/after/0/job", "required"),
        ({"startAt": "2030-01-01T12:00:00"}, "/spec/startAt", "offset"),
        ({"startAt": "soon"}, "/spec/startAt", "a moment is a text"),
        ({"ttlAfterFinishS": -1}, "/spec/ttlAfterFinishS", "greater than or equal to 0"),
        ({"ttlAfterFinishS": 1e12}, "/spec/ttlAfterFinishS", "less than or equal"),
        ({"ttlAfterFinishS": float("nan")}, "/spec/ttlAfterFinishS", "finite"),
    ],
)
def test_what_is_wrong_is_named(spec: dict[str, Any], pointer: str, message: str) -> None:
    with pytest.raises(Invalid, match=message) as refused:
        normal_spec(Job, {"steps": STEPS, **spec})
    assert refused.value.field == pointer


def test_what_is_not_asked_for_is_not_stored() -> None:
    assert not {"after", "startAt", "ttlAfterFinishS"} & normal_spec(Job, {"steps": STEPS}).keys()
    assert normal_spec(Job, {"steps": STEPS, **LATER})["after"] == [{"job": "a", "on": "succeeded"}]


async def test_it_stays_as_it_was_asked_for() -> None:
    store = memory_store()
    await seed(store)
    await done(store, job("j", **LATER), job("k"))
    for name, value in (("after", [{"job": "b"}]), ("startAt", "2031-01-01T00:00:00Z"), ("ttlAfterFinishS", 9)):
        for path in ("j", "k"):
            (verdict,) = await send(store, Command("patchSpec", f"{JOBS}/{path}", {name: value}))
            assert isinstance(verdict.error, Invalid)
            assert verdict.error.field == f"/spec/{name}"


def test_a_name_alone_is_of_the_same_group() -> None:
    assert job_path("a", "/config/job-groups/g/jobs/j") == "/config/job-groups/g/jobs/a"
    assert job_path("h/a", "/config/job-groups/g/jobs/j") == "/config/job-groups/h/jobs/a"


def test_only_who_says_so_waits_for_more_than_an_edge() -> None:
    asked: dict[str, Any] = {**LATER, "inputs": [{"job": "g/a", "artifact": "b", "path": "c"}]}
    for name, value in asked.items():
        spec = normal_spec(Job, {"steps": STEPS, name: value})
        assert may_be_held(spec) == (name != "ttlAfterFinishS")
    assert not may_be_held(normal_spec(Job, {"steps": STEPS}))
