"""When a job has all that it takes from others, and what that is."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from datamodel.kinds import Document
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.scheduling.artifacts import INPUT_FILES_BYTES, key_of
from datamodel.scheduling.beginning import job_path
from datamodel.scheduling.edges import place_of
from datamodel.scheduling.jobs import FINISHED, SUCCEEDED
from datamodel.scheduling.splitting import chunks_at_most, chunks_of
from reconcilers.planning.gates import Never, Waiting, ended

INPUT_FILES_LIMIT = INPUT_FILES_BYTES // 128
"""More than that cannot be named in so many bytes, so none needs to be looked at."""


@dataclass(frozen=True, slots=True)
class Ready:
    """All jobs have succeeded: these are the chunks whose artifacts it takes, by the job's path."""

    chunks: Mapping[str, frozenset[int]]


def judge(job: Node, sources: Mapping[str, Node]) -> Waiting | Never | Ready:
    """How far the jobs are that a job has inputs of."""
    waiting: list[str] = []
    chunks: dict[str, set[int]] = {}
    for number, wanted in enumerate(job.spec["inputs"]):
        name, path = wanted["job"], job_path(wanted["job"], job.path)
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
        path = job_path(wanted["job"], job.path)
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


def _hindrance(job: Node, wanted: Document, source: Node | None) -> tuple[str, str] | None:
    name = wanted["job"]
    if source is None or source.deletion_requested_at is not None:
        return "SourceMissing", f"there is no job {name}, or no more"
    if source.created_version >= job.created_version:
        return "SourceLater", f"{name} was submitted after this job, or is this job"
    if source.phase in FINISHED and source.phase != SUCCEEDED:
        return "SourceFailed", f"{name} {ended(source.phase)}"
    if all(artifact["name"] != wanted["artifact"] for artifact in source.spec.get("artifacts", ())):
        return "InputUnknown", f"{name} has no artifact {wanted['artifact']}"
    if wanted.get("chunk", 0) >= (count := chunks_at_most(source)):
        return "InputUnknown", f"{name} has {count} chunks, from 0 on"
    return None


def _chunks(wanted: Document, source: Node) -> Sequence[int]:
    return [wanted["chunk"]] if "chunk" in wanted else range(min(chunks_of(source), INPUT_FILES_LIMIT))


def _artifact(attempt: Node | None, name: str) -> Document | None:
    told: Iterator[Document] = iter(attempt.status.get("artifacts", ()) if attempt is not None else ())
    return next((one for one in told if one["name"] == name), None)
