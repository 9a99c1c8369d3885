"""When a job may begin: never before all that it comes after has ended as it had to, nor before its moment, and never in a
circle."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from datamodel.node import Node
from reconcilers.planning.gates import Waiting, find, sources_of, waits
from tests.unit.test_plan_inputs import a_job

NOW = datetime(2030, 1, 1, tzinfo=UTC)
_phases = st.sampled_from(["", "pending", "running", "succeeded", "failed", "aborted"])
_on = st.sampled_from(["succeeded", "finished"])


def after(*names: str, on: str = "succeeded") -> list[dict[str, Any]]:
    return [{"job": name, "on": on} for name in names]


def told(job: Node, *sources: Node, now: datetime = NOW) -> tuple[str, str]:
    """Reason and message of what a look at a job has found."""
    found = find(job, {source.path: source for source in sources}, None, now)
    return found.aspects[0][2], found.aspects[0][3]


@given(st.lists(st.tuples(_phases, _on, st.integers(1, 9)), min_size=1, max_size=5), st.integers(-60, 60))
def test_it_begins_only_when_all_have_ended_and_it_is_time(found: list[tuple[str, str, int]], rest_s: int) -> None:
    sources = [a_job(f"s{k}", created, phase, intent="abort") for k, (phase, _, created) in enumerate(found)]
    wanted = [{"job": f"s{k}", "on": on} for k, (_, on, _) in enumerate(found)]
    job = a_job("j", 5, after=wanted, startAt=(NOW + timedelta(seconds=rest_s)).isoformat())
    look = find(job, {source.path: source for source in sources}, None, NOW)
    good = all(created < 5 for _, _, created in found)
    hopeless = not good or any(on == "succeeded" and phase in ("failed", "aborted") for phase, on, _ in found)
    ended = all(phase in ("succeeded", "failed", "aborted") for phase, _, _ in found)
    assert (look.patch.get("phase") == "failed") == hopeless
    assert ("readyAt" in look.patch) == (not hopeless and ended and rest_s <= 0)
    assert look.is_over == (hopeless or "readyAt" in look.patch)
    if not look.is_over:
        assert look.again_s == (rest_s if rest_s > 0 else None)
        ends = [f"s{k}" for k, (phase, _, _) in enumerate(found) if phase in ("succeeded", "failed", "aborted")]
        assert look.patch.get("after", []) == ends


@given(st.permutations(range(4)), st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=4, max_size=12))
def test_of_jobs_that_come_after_each_other_one_fails(order: list[int], names: list[tuple[int, int]]) -> None:
    wanted = {k: sorted({other for one, other in names if one == k}) for k in range(4)}
    jobs = {k: a_job(f"s{k}", order[k] + 1, after=after(*(f"s{o}" for o in wanted[k])) or None) for k in range(4)}
    present = {job.path: job for job in jobs.values()}
    waiting = {k for k in range(4) if wanted[k] and not find(jobs[k], present, None, NOW).is_over}
    while leaves := {k for k in waiting if not set(wanted[k]) & waiting}:
        waiting -= leaves
    assert not waiting, "a circle that waits for ever"


def test_what_can_never_be_is_named() -> None:
    job = a_job("j", 5, after=after("a", "other/b"))
    a = a_job("a", 1, "succeeded")
    assert told(job, a) == ("DependencyMissing", "after/1: there is no job other/b, or no more")
    b = replace(a_job("b", 2), path="/config/job-groups/other/jobs/b")
    assert told(job, replace(a, status={"phase": "failed"}), b) == ("DependencyFailed", "after/0: a has failed")
    assert told(job, replace(a, status={"phase": "aborted"}), b) == ("DependencyFailed", "after/0: a was aborted")
    late = replace(a, created_version=6)
    assert told(job, late, b) == ("DependencyLater", "after/0: a was submitted after this job, or is this job")
    assert told(job, a, b) == ("WaitingForJobs", "waits for other/b")


def test_what_has_ended_has_ended_whatever_becomes_of_it() -> None:
    job = a_job("j", 5, after=after("a", "b"))
    a, b = a_job("a", 1, "succeeded"), a_job("b", 2)
    met = find(job, {a.path: a, b.path: b}, None, NOW).patch["after"]
    later = replace(job, status={"phase": "pending", "after": met})
    assert sources_of(later) == [b.path]
    assert told(later, b) == ("WaitingForJobs", "waits for b"), "a is gone"
    assert told(later, a_job("b", 2, "succeeded")) == ("Ready", "")


def test_one_that_is_being_deleted_has_ended_only_if_it_had_before() -> None:
    job = a_job("j", 5, after=after("a", on="finished"))
    for phase, intent, reason in (
        ("succeeded", "run", "Ready"),
        ("failed", "run", "Ready"),
        ("aborted", "abort", "Ready"),
        ("aborted", "run", "DependencyMissing"),
        ("running", "run", "DependencyMissing"),
    ):
        going = replace(a_job("a", 1, phase, intent=intent), deletion_requested_at=NOW)
        assert told(job, going)[0] == reason, (phase, intent)


def test_inputs_are_waited_for_beside_the_rest() -> None:
    inputs = [{"job": "g/a", "artifact": "out", "path": "a"}]
    job = a_job("j", 5, inputs=inputs, after=after("g/a"), startAt=(NOW + timedelta(seconds=9)).isoformat())
    a = a_job("a", 1, "succeeded")
    look = find(job, {a.path: a}, Waiting(("g/b",)), NOW)
    assert [aspect[:3] for aspect in look.aspects] == [
        ("InputsReady", "False", "WaitingForJobs"),
        ("Ready", "False", "WaitingForTime"),
    ]
    met = replace(job, status={"phase": "pending", **look.patch})
    assert sources_of(met) == [a.path], "its files are not known yet"
    late = find(met, {a.path: a}, Waiting(("g/b",)), NOW + timedelta(seconds=9))
    assert (late.aspects[1][2], late.again_s) == ("WaitingForInputs", None)
    ready = find(met, {a.path: a}, ({"key": "k"},), NOW + timedelta(seconds=9))
    assert ready.patch == {
        "after": ["g/a"],
        "inputs": [{"key": "k"}],
        "readyAt": (NOW + timedelta(seconds=9)).isoformat(),
    }
    assert not waits(replace(met, status={**met.status, **ready.patch}))


def test_what_was_resolved_before_moments_were_told_waits_for_nothing() -> None:
    job = a_job("j", 5, inputs=[{"job": "g/a", "artifact": "out", "path": "a"}])
    assert waits(job)
    assert not waits(replace(job, status={"phase": "pending", "inputs": []}))
