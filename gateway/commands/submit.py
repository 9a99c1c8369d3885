"""`tendril submit`: jobs from a file, and what becomes of them."""

import re
from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter

from gateway.address import DEFAULT_URL
from gateway.commands.client import Client, Document, Url
from gateway.commands.conditions import condition_of, default_for
from gateway.commands.deadline import Timeout, deadline
from gateway.commands.explain import named_chunk
from gateway.commands.failure import Exit, Failure
from gateway.commands.files import documents_in
from gateway.commands.jobs import JOBS, job_address, job_kind
from gateway.commands.kinds import kinds_of
from gateway.commands.logs import followed
from gateway.commands.names import Target
from gateway.commands.printing import complain, say
from gateway.commands.progress import until

_IN_BATCH = re.compile(r"/jobs/([0-9]+)(/.*)?")
"""A pointer into what is sent of several jobs: which one, and where in that."""
_GROUP_STEP = "make the group with `tendril apply`, or name one that `tendril get job-groups` lists"


def submit(
    file: Annotated[str, Parameter(help="Jobs in YAML or JSON, all or none; - is stdin.", allow_leading_hyphen=True)],
    /,
    *,
    group: Annotated[str, Parameter(name=["--group", "-g"], help="For jobs that name no group.")] = "",
    array: Annotated[str, Parameter(help="Indices of chunks, as 0-31:2%4, in place of what jobs say.")] = "",
    chunks: Annotated[int | None, Parameter(help="How many chunks, in place of what jobs say.")] = None,
    max_chunks: Annotated[int | None, Parameter(help="As many chunks as there is room for, up to this.")] = None,
    wait: Annotated[bool, Parameter(negative="", help="Until they have ended; 1 if one has not succeeded.")] = False,
    logs: Annotated[bool, Parameter(negative="", help="Print what they write, and wait.")] = False,
    timeout: Timeout = "",
    url: Url = DEFAULT_URL,
) -> int:
    """Submit jobs."""
    counted = _counted(array, chunks, max_chunks)
    found = list(documents_in(file))
    documents = [{**({"group": group} if group else {}), **_but(document, counted)} for _, document in found]
    if not documents:
        raise Failure(f"{file} has no document", "write a job, as in examples/primes/job.json")
    with Client(url) as client, deadline(timeout):
        kind = job_kind(kinds_of(client))
        try:
            submitted = _submitted(client, documents)
        except Failure as failure:
            raise failure if failure.ends_all else located(failure, [where for where, _ in found]) from failure
        jobs = [Target(kind, job["metadata"]["path"]) for job in submitted]
        for job in jobs:
            say(f"{job.title} submitted")
        if logs:
            for job, node in zip(jobs, submitted, strict=True):
                _print_logs(client, job, node["spec"], named=len(jobs) > 1)
        return _ended(client, jobs) if wait or logs else Exit.FINE


def _counted(array: str, chunks: int | None, max_chunks: int | None) -> Document:
    """What is said of how many chunks the jobs have, as they say it; nothing where that is left to them. Raises `Failure` where
    it is said twice."""
    said = {"array": array or None, "chunks": chunks, "maxChunks": max_chunks}
    counted = {name: value for name, value in said.items() if value is not None}
    if len(counted) > 1:
        raise Failure("--array, --chunks, --max-chunks: each says how many chunks there are", "give one of them")
    return counted


def _but(document: Document, counted: Document) -> Document:
    """The document, where something else is said of how many chunks there are."""
    own = ("array", "chunks", "maxChunks") if counted else ()
    return {name: value for name, value in document.items() if name not in own} | counted


def _submitted(client: Client, documents: list[Document]) -> list[Document]:
    if len(documents) == 1:
        return [client.write("POST", JOBS, documents[0], step=_GROUP_STEP).json()]
    answer = client.write("POST", f"{JOBS}:batch", {"jobs": documents}, step=_GROUP_STEP)
    found: list[Document] = answer.json()["items"]
    return found


def located(failure: Failure, places: Sequence[str]) -> Failure:
    """What is wrong, with the document in which it is, and pointers into that one."""
    if len(places) == 1:
        return failure.inside(places[0])
    told = []
    for pointer, message in failure.findings:
        found = _IN_BATCH.fullmatch(pointer)
        if found is None:
            return failure.inside("the jobs together")
        told.append(": ".join(part for part in (places[int(found[1])], found[2], message) if part))
    return Failure("; ".join(told), failure.step, failure.code) if told else failure


def _print_logs(client: Client, job: Target, spec: Document, *, named: bool) -> None:
    """What its chunks write, one after the other: each is followed to the end of its newest try."""
    chunk, chunks = 0, spec.get("chunks")
    while chunk == 0 or chunk < (chunks or _split(client, job)):
        begins, prefix = True, ""
        for text in followed(client, job, {"chunk": str(chunk)}):
            if not prefix:
                about = [job.title] * named + [_told(client, job, chunk, spec)] * (chunks != 1)
                prefix = f"[{' '.join(about)}] " if about else ""
            say(f"{prefix if begins else ''}{text}", end="")
            begins = text.endswith("\n")
        chunk += 1


def _split(client: Client, job: Target) -> int:
    """Into how many chunks it was split, which is settled once something of it was placed."""
    node = client.find(job.path) or {"status": {}}
    chunks: int = node["status"].get("split", {}).get("chunks", 0)
    return chunks


def _told(client: Client, job: Target, chunk: int, spec: Document) -> str:
    """A chunk that was placed, as people are told of it."""
    if "array" not in spec:
        return str(chunk)
    asked = {"limit": "1", **({"cursor": str(chunk - 1)} if chunk else {})}
    (found,) = client.get(f"{job_address(job)}/chunks", asked, step="")["items"]
    return named_chunk(chunk, found["arrayIndex"])


def _ended(client: Client, jobs: list[Target]) -> int:
    """Waits for all. The exit code says whether each has succeeded."""
    code = Exit.FINE
    for job in jobs:
        try:
            until(client, job, condition_of(default_for(job.kind), job.kind))
            say(f"{job.title} succeeded")
        except Failure as failure:
            if failure.code is not Exit.FAILED:
                raise
            complain(failure)
            code = failure.code
    return code
