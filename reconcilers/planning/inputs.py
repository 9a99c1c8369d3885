"""When a job has all that it takes from others, and what that is. Jobs name others that were there before them, so none waits
for itself, however many are between."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from datamodel.kinds import Document
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.scheduling.artifacts import INPUT_FILES_BYTES, key_of
from datamodel.scheduling.edges import place_of
from datamodel.scheduling.jobs import FAILED, FINISHED, SUCCEEDED

INPUT_FILES_LIMIT = INPUT_FILES_BYTES // 128
"""More than that cannot be named in so many bytes, so none needs to be looked at."""
TOLD = 3
"""How many of the jobs that are waited for a message names."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """For these jobs."""

    jobs: tuple[str, ...]

    @property
    def message(self) -> str:
        more = len(self.jobs) - TOLD
        return f"waits for {', '.join(self.jobs[:TOLD])}" + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True, slots=True)
class Never:
    """It can have its inputs no more."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Ready:
    """All jobs have succeeded: these are the chunks whose artifacts it takes, by the job's path."""

    chunks: Mapping[str, frozenset[int]]


def source_path(name: str) -> str:
    """The path of the job that an input names."""
    group, _, job = name.partition("/")
    return f"/config/job-groups/{group}/jobs/{job}"


def sources_of(spec: Document) -> list[str]:
    """The paths of the jobs that a job has inputs of."""
    return sorted({source_path(one["job"]) for one in spec.get("inputs", ())})


def is_unresolved(job: Node) -> bool:
    """Whether it has inputs, and nobody has found out yet what they are."""
    return "inputs" in job.spec and "inputs" not in job.status and job.phase not in FINISHED


def judge(job: Node, sources: Mapping[str, Node]) -> Waiting | Never | Ready:
    """How far the jobs are that a job has inputs of."""
    waiting: list[str] = []
    chunks: dict[str, set[int]] = {}
    for number, wanted in enumerate(job.spec["inputs"]):
        name, path = wanted["job"], source_path(wanted["job"])
        source = sources.get(path)
        wrong = _hindrance(job, wanted, source)
        if wrong is not None:
            return Never(wrong[0], f"inputs/{number}: {wrong[1]}")
        assert source is not None, "else it is a hindrance"
        if source.phase != SUCCEEDED:
            waiting.append(name)
        chunks.setdefault(path, set()).update(_chunks(wanted, source))
    if waiting:
        return Waiting(tuple(dict.fromkeys(waiting)))
    return Ready({path: frozenset(of) for path, of in chunks.items()})


def files_of(
    job: Node,
    sources: Mapping[str, Node],
    attempts: Mapping[tuple[str, int], Node],
    missing: Mapping[str, Collection[int]],
) -> tuple[Document, ...] | Never:
    """The files that each attempt at a job is given. `attempts` are those that count, by their job's path and their chunk;
    `missing` are, by its path, the chunks of a job that have not succeeded, as its completion allows."""
    found: list[Document] = []
    for number, wanted in enumerate(job.spec["inputs"]):
        path = source_path(wanted["job"])
        for chunk in _chunks(wanted, sources[path]):
            if chunk in missing.get(path, ()):
                if "chunk" in wanted:
                    return Never("ChunkFailed", f"inputs/{number}: chunk {chunk} of {wanted['job']} has not succeeded")
                continue
            attempt = attempts.get((path, chunk))
            told = _artifact(attempt, wanted["artifact"])
            if attempt is None or told is None:
                return Never(
                    "InputGone", f"inputs/{number}: what chunk {chunk} of {wanted['job']} left is not known any more"
                )
            key = key_of(*place_of(attempt.path), last_name(attempt.path), told["name"])
            place = wanted["path"] if "chunk" in wanted else f"{wanted['path']}/{chunk}"
            found.append({"key": key, "bytes": told["bytes"], "sha256": told["sha256"], "path": place})
        size = len(msgspec.json.encode(found))
        if size > INPUT_FILES_BYTES:
            return Never("TooManyInputs", f"to name the files takes {size} bytes; at most {INPUT_FILES_BYTES} may be")
    return tuple(found)


def failed(phase: str) -> str:
    """A word for how a job ended that did not succeed."""
    return "has failed" if phase == FAILED else "was aborted"


def _hindrance(job: Node, wanted: Document, source: Node | None) -> tuple[str, str] | None:
    name = wanted["job"]
    if source is None or source.deletion_requested_at is not None:
        return "SourceMissing", f"there is no job {name}, or no more"
    if source.created_version >= job.created_version:
        return "SourceLater", f"{name} was submitted after this job, or is this job"
    if source.phase in FINISHED and source.phase != SUCCEEDED:
        return "SourceFailed", f"{name} {failed(source.phase)}"
    if all(artifact["name"] != wanted["artifact"] for artifact in source.spec.get("artifacts", ())):
        return "InputUnknown", f"{name} has no artifact {wanted['artifact']}"
    if wanted.get("chunk", 0) >= source.spec["chunks"]:
        return "InputUnknown", f"{name} has {source.spec['chunks']} chunks, from 0 on"
    return None


def _chunks(wanted: Document, source: Node) -> Sequence[int]:
    return [wanted["chunk"]] if "chunk" in wanted else range(min(source.spec["chunks"], INPUT_FILES_LIMIT))


def _artifact(attempt: Node | None, name: str) -> Document | None:
    told: Iterator[Document] = iter(attempt.status.get("artifacts", ()) if attempt is not None else ())
    return next((one for one in told if one["name"] == name), None)
