"""When a job has its inputs: never before all that it names have succeeded, and never in a circle."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from datamodel.node import Node
from datamodel.parts import normal_spec
from datamodel.scheduling.artifacts import INPUT_FILES_BYTES
from datamodel.scheduling.attempts import attempt_name
from datamodel.scheduling.edges import desired_path
from datamodel.scheduling.jobs import Job
from reconcilers.planning.gates import Never, Waiting, waits
from reconcilers.planning.inputs import Ready, files_of, judge
from tests.graph import STEPS

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def a_job(name: str, created: int, phase: str = "pending", **spec: Any) -> Node:
    body = normal_spec(Job, {"steps": STEPS, "artifacts": [{"name": "out", "path": "out"}], **spec})
    return Node(
        path=f"/config/job-groups/g/jobs/{name}",
        uid=f"{created:032x}",
        kind="Job",
        spec=body,
        status={"phase": phase},
        version=created,
        created_version=created,
        created_at=NOW,
        labels={},
        links={},
        finalizers=(),
        generation=1,
    )


def of(name: str, **fields: Any) -> dict[str, Any]:
    return {"job": f"g/{name}", "artifact": "out", "path": name, **fields}


_phases = st.sampled_from(["", "pending", "running", "succeeded", "failed", "aborted"])


@given(st.lists(st.tuples(_phases, st.integers(1, 9)), min_size=1, max_size=5))
def test_it_is_ready_only_when_all_that_were_there_before_have_succeeded(found: list[tuple[str, int]]) -> None:
    sources = [a_job(f"s{k}", created, phase) for k, (phase, created) in enumerate(found)]
    job = a_job("j", 5, inputs=[of(f"s{k}") for k in range(len(sources))])
    verdict = judge(job, {source.path: source for source in sources})
    good = all(created < 5 for _, created in found)
    phases = {phase for phase, _ in found}
    assert isinstance(verdict, Ready) == (good and phases == {"succeeded"})
    assert isinstance(verdict, Never) == (not good or bool(phases & {"failed", "aborted"}))
    if isinstance(verdict, Waiting):
        assert list(verdict.jobs) == [f"g/s{k}" for k, (phase, _) in enumerate(found) if phase != "succeeded"]


@given(st.permutations(range(4)), st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=4, max_size=12))
def test_of_jobs_that_wait_in_a_circle_one_fails(order: list[int], names: list[tuple[int, int]]) -> None:
    wanted = {k: sorted({other for one, other in names if one == k}) for k in range(4)}
    jobs = {k: a_job(f"s{k}", order[k] + 1, inputs=[of(f"s{o}") for o in wanted[k]] or None) for k in range(4)}
    present = {job.path: job for job in jobs.values()}
    waiting = {k for k in range(4) if wanted[k] and isinstance(judge(jobs[k], present), Waiting)}
    while leaves := {k for k in waiting if not set(wanted[k]) & waiting}:
        waiting -= leaves
    assert not waiting, "a circle that waits for ever"


def attempts(source: Node, count: int, name: str = "out") -> dict[tuple[str, int], Node]:
    found = {}
    for chunk in range(count):
        path = f"{desired_path('s', 'e')}/attempts/{attempt_name(source.uid, chunk, 1)}"
        left = {"name": name, "bytes": chunk, "sha256": "0" * 64}
        found[source.path, chunk] = Node(
            path=path,
            uid=f"{chunk:032x}",
            kind="Attempt",
            spec={},
            status={"artifacts": [left]},
            version=1,
            created_version=1,
            created_at=NOW,
            labels={},
            links={},
            finalizers=(),
            generation=1,
        )
    return found


def test_files_are_named_by_the_attempts_that_count() -> None:
    source = a_job("s", 1, "succeeded", chunks=3)
    job = a_job("j", 2, inputs=[of("s"), of("s", chunk=2, path="two")])
    found = files_of(job, {source.path: source}, attempts(source, 3), {})
    assert isinstance(found, tuple)
    assert [(one["path"], one["bytes"]) for one in found] == [("s/0", 0), ("s/1", 1), ("s/2", 2), ("two", 2)]
    assert found[3]["key"] == f"s.e.{attempt_name(source.uid, 2, 1)}.out"


def test_what_is_not_known_any_more_and_what_is_too_much_are_said() -> None:
    source = a_job("s", 1, "succeeded", chunks=3)
    job = a_job("j", 2, inputs=[of("s")])
    for some in (attempts(source, 2), attempts(source, 3, "other")):
        gone = files_of(job, {source.path: source}, some, {})
        assert isinstance(gone, Never)
        assert gone.reason == "InputGone"
    many = a_job("s", 1, "succeeded", chunks=1_000_000)
    verdict = judge(job, {many.path: many})
    assert isinstance(verdict, Ready)
    assert len(verdict.chunks[source.path]) <= INPUT_FILES_BYTES
    too_many = files_of(job, {many.path: many}, attempts(many, 300), {})
    assert isinstance(too_many, Never)
    assert too_many.reason in ("TooManyInputs", "InputGone")


def test_of_a_job_of_which_chunks_may_fail_there_are_the_files_of_the_others() -> None:
    source = a_job("s", 1, "succeeded", chunks=3)
    left = {key: node for key, node in attempts(source, 3).items() if key[1] != 1}
    found = files_of(a_job("j", 2, inputs=[of("s")]), {source.path: source}, left, {source.path: {1}})
    assert isinstance(found, tuple)
    assert [one["path"] for one in found] == ["s/0", "s/2"]
    never = files_of(a_job("j", 2, inputs=[of("s", chunk=1)]), {source.path: source}, left, {source.path: {1}})
    assert isinstance(never, Never)
    assert (never.reason, never.message) == ("ChunkFailed", "inputs/0: chunk 1 of g/s has not succeeded")


def test_what_a_job_that_is_there_never_leaves_is_said() -> None:
    source = a_job("s", 1, chunks=3)
    for wanted, reason in ((of("s", chunk=3), "InputUnknown"), (of("s", artifact="b"), "InputUnknown")):
        verdict = judge(a_job("j", 2, inputs=[wanted]), {source.path: source})
        assert isinstance(verdict, Never)
        assert verdict.reason == reason
    assert isinstance(judge(a_job("j", 2, inputs=[of("s", chunk=2)]), {source.path: source}), Waiting)
    going = replace(a_job("s", 1, "succeeded"), deletion_requested_at=NOW)
    verdict = judge(a_job("j", 2, inputs=[of("s")]), {going.path: going})
    assert isinstance(verdict, Never)
    assert verdict.reason == "SourceMissing"


def test_the_first_chunk_s_file_is_a_file_like_any_other() -> None:
    source = a_job("s", 1, "succeeded", chunks=3)
    found = files_of(a_job("j", 2, inputs=[of("s", chunk=0)]), {source.path: source}, attempts(source, 3), {})
    assert isinstance(found, tuple)
    assert [one["path"] for one in found] == ["s"]


def test_only_what_may_still_begin_waits() -> None:
    for phase in ("", "pending", "failed", "aborted"):
        assert waits(a_job("j", 2, phase, inputs=[of("s")])) == (phase in ("", "pending"))
    assert not waits(a_job("j", 2))


def test_a_chunk_of_a_job_that_is_to_be_split_is_waited_for_as_long_as_there_may_be_one() -> None:
    job = a_job("j", 5, inputs=[of("s", chunk=3)])

    def judged(most: int, *, phase: str = "pending", **status: Any) -> Waiting | Never | Ready:
        source = a_job("s", 1, phase, maxChunks=most, workWs=9.0)
        return judge(job, {source.path: replace(source, status=source.status | status)})

    assert isinstance(judged(4), Waiting)
    assert judged(3) == Never("InputUnknown", "inputs/0: g/s has 3 chunks, from 0 on")
    assert judged(4, split={"chunks": 2}) == Never("InputUnknown", "inputs/0: g/s has 2 chunks, from 0 on")
    assert isinstance(judged(4, phase="succeeded", split={"chunks": 4}), Ready)
    every = replace(job, spec=job.spec | {"inputs": [of("s")]})
    source = a_job("s", 1, "succeeded", maxChunks=4, workWs=9.0)
    split = replace(source, status=source.status | {"split": {"chunks": 3}})
    assert judge(every, {source.path: split}) == Ready({source.path: frozenset({0, 1, 2})})
