"""What an agent reads of its attempts' messages."""

import msgspec
import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from agents.runtimes.protocol import Step
from agents.work import desired_of, phase_of
from datamodel.ports import Message
from datamodel.scheduling.secrets import SecretUse
from sim.chaos.machine import ROOT

SPEC = (
    b'{"job":"/config/job-groups/g/jobs/j","index":3,"count":4,"steps":[{"name":"a","image":"i","script":"true"},'
    b'{"name":"b","image":"i","command":["x"],"env":{"K":"v"}}],"requests":{"cpu":0.5,"memoryBytes":7,"powerW":2.0},'
    b'"retries":2,"workWs":9.0,"intent":"run"}'
)
PENDING = Message(
    "/desired-config/sites/s/edges/e/attempts/a-3-1", "u", "Attempt", 5, generation=1, spec=msgspec.Raw(SPEC)
)


def test_the_spec_is_the_work() -> None:
    desired = desired_of(PENDING, phase_of(PENDING), None)
    assert (desired.intent, desired.phase, desired.generation) == ("run", "pending", 1)
    work = desired.work
    assert (work.site, work.edge, work.attempt) == ("s", "e", "a-3-1")
    assert work.steps == (Step("a", "i", "true"), Step("b", "i", command=("x",), env={"K": "v"}))
    assert work.labels == {}
    assert (work.cpu, work.memory_bytes, work.power_w, work.work_ws) == (0.5, 7, 2.0, 9.0)
    assert work.env == {
        "CHUNK_INDEX": "3",
        "CHUNK_COUNT": "4",
        "CHUNK_SHARE": "0.25",
        "CHUNK_WORK_WS": "9.0",
        "CHUNK_EPOCH": "1",
        "ATTEMPT": "a-3-1",
    }


def test_a_chunk_of_an_array_sees_its_own_index() -> None:
    spec = msgspec.Raw(SPEC.replace(b'"retries":2', b'"retries":2,"arrayIndex":0'))
    env = desired_of(replace(PENDING, spec=spec), "pending", None).work.env
    assert env["ARRAY_INDEX"] == "0"
    page = (ROOT / "docs/scheduling.md").read_text()
    assert [name for name in env if f"`{name}`" not in page] == [], "the page tells all of them"
    for name in env:
        with pytest.raises(ValidationError, match="tells steps something else"):
            SecretUse(secret="s", env=name)


def test_a_new_status_leaves_the_work_and_a_new_generation_does_not() -> None:
    first = desired_of(PENDING, "pending", None)
    running = replace(PENDING, version=6, status=msgspec.Raw(b'{"phase":"running","percent":5}'))
    second = desired_of(running, phase_of(running), first)
    assert second.phase == "running"
    assert second.work is first.work
    stop = replace(running, version=7, generation=2, spec=msgspec.Raw(SPEC.replace(b'"run"', b'"stop"')))
    third = desired_of(stop, phase_of(stop), second)
    assert (third.intent, third.phase, third.generation) == ("stop", "running", 2)


def test_the_jobs_labels_and_annotations_are_the_works() -> None:
    spec = msgspec.Raw(SPEC.replace(b'"retries":2', b'"retries":2,"labels":{"team":"blue"},"annotations":{"a":"b c"}'))
    work = desired_of(replace(PENDING, spec=spec), "pending", None).work
    assert (work.labels, work.annotations) == ({"team": "blue"}, {"a": "b c"})


def test_the_exit_codes_that_are_ignored_are_those_of_every_step() -> None:
    rules = b'[{"codes":[5],"action":"fail"},{"codes":[42],"ranges":[{"first":4,"last":6}],"action":"ignore"}]'
    spec = msgspec.Raw(SPEC.replace(b'"retries":2', b'"retries":2,"exitCodes":' + rules))
    work = desired_of(replace(PENDING, spec=spec), "pending", None).work
    assert [step.ignored for step in work.steps] == [(4, 6, 42)] * 2
    with pytest.raises(msgspec.ValidationError):
        desired_of(
            replace(PENDING, spec=msgspec.Raw(bytes(spec).replace(b'"codes":[5]', b'"codes":5'))), "pending", None
        )


def test_what_is_no_attempt_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        desired_of(replace(PENDING, spec=msgspec.Raw(b"{}")), "pending", None)
    with pytest.raises(msgspec.ValidationError):
        phase_of(replace(PENDING, status=msgspec.Raw(b'{"phase":1}')))
