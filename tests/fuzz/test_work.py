"""What an agent makes of the messages about its attempts and of the results that steps leave."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from agents.convergence import converge, percent_of
from agents.reports import outputs_of
from agents.runtimes.protocol import Observed, StepState
from agents.work import desired_of, phase_of
from datamodel.errors import Invalid
from datamodel.feed.message import decode
from datamodel.scheduling import wire
from reconcilers.planning.settlement import settle
from tests.fuzz.budget import budget
from tests.fuzz.documents import anything

_specs = st.fixed_dictionaries(
    {
        "job": st.just("/config/job-groups/g/jobs/j"),
        "index": st.integers(0, 2),
        "count": st.integers(1, 3),
        "steps": st.lists(
            st.fixed_dictionaries(
                {"name": st.just("a"), "image": st.just("i")},
                optional={
                    "script": st.just("true"),
                    "command": st.just(["true"]),
                    "env": st.dictionaries(st.just("K"), st.text(max_size=2)),
                },
            ),
            min_size=1,
            max_size=2,
        ),
        "requests": st.fixed_dictionaries(
            {}, optional={"cpu": st.just(0.5), "memoryBytes": st.just(7), "powerW": st.just(2)}
        ),
    },
    optional={"workWs": st.just(1.5), "intent": st.sampled_from(["run", "stop", "abandon"])},
)
_messages = st.fixed_dictionaries(
    {
        "path": st.just("/desired-config/sites/s/edges/e/attempts/a"),
        "uid": st.just("u"),
        "kind": st.just("Attempt"),
        "version": st.just(7),
        "spec": _specs,
        "status": st.fixed_dictionaries({}, optional={"phase": st.sampled_from(["pending", "running", "stopped"])}),
    }
)
_results = st.dictionaries(st.text(max_size=3), st.integers() | st.lists(st.floats()) | st.text(max_size=3), max_size=3)
_STARTED = StepState("running", 1.0)


@budget(200)
@given(body=anything(_messages))
@example(
    body=b'{"path":"/d/s/s/e/e/a/a","uid":"u","kind":"K","version":1,"spec":{"index":0,"count":0,"steps":[],"requests":{}}}'
)
@example(body=b'{"path":"/d/s/s/e/e/a/a","uid":"u","kind":"K","version":1,"status":{"phase":"\xff"}}')
def test_a_message_is_work_that_can_be_begun_or_none(body: bytes) -> None:
    try:
        message = decode(body)
    except wire.UNREADABLE:
        return
    if message.path.count("/") < 6:  # the server delivers what is below an edge and nothing else
        return
    try:
        desired = desired_of(message, phase_of(message), None)
    except wire.UNREADABLE:
        return
    work = desired.work
    assert (work.site, work.edge) == tuple(message.path.split("/"))[3:6:2]
    assert work.steps
    assert 0 <= float(work.env["CHUNK_SHARE"]) <= 1
    assert isinstance(converge(desired, None, "nothing"), msgspec.Struct)
    assert 0 <= percent_of(desired, Observed("s", "e", "a", (_STARTED,))) <= 100


@budget(200)
@given(body=anything(_results))
def test_a_result_is_outputs_that_the_hub_settles_or_invalid(body: bytes) -> None:
    try:
        outputs = outputs_of(body)
    except Invalid:
        return
    report = wire.AttemptReport("e", "a", "succeeded", datetime(2030, 1, 1, tzinfo=UTC), 100.0, outputs=outputs)
    found = settle("s", "e", "1", [msgspec.Raw(wire.encode(report))])
    (patch,) = found.patches.values()
    assert patch["phase"] == "succeeded" or patch["reason"] == "InvalidReport"
    assert_same(patch.get("outputs", outputs), outputs)


def assert_same(found: Any, meant: Any) -> None:
    """As JSON has it: a whole number beyond 64 bits may come back as one, or as a fraction."""
    assert wire.encode(found) == wire.encode(meant)
