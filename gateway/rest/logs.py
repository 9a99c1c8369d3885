"""What a chunk's attempts wrote: as text, as JSON lines, or as server-sent events while it runs."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from datamodel.errors import Gone, Invalid, NotFound, TendrilError, Transient
from datamodel.kinds import Document
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.scheduling.jobs import FINISHED
from datamodel.scheduling.logs import STREAMS, Stream
from datamodel.scheduling.splitting import CHUNKS_LIMIT
from gateway.backend import Backend
from gateway.logs.attempts import Asked, Found, asked_of, find
from gateway.logs.following import LOOK_S, Reader, first_of, follow
from gateway.logs.lines import Line, Lines, Missing, Told, Wanted, last_lines

HEARTBEAT_S = 10.0
TAIL_LIMIT = 100_000
PARAMETERS: tuple[Document, ...] = (
    {
        "name": "chunk",
        "in": "query",
        "schema": {"type": "integer", "minimum": 0, "maximum": CHUNKS_LIMIT - 1},
        "description": "of which chunk; a job with one needs none",
    },
    {
        "name": "epoch",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": 10**9 - 1},
        "description": "of which try at the chunk; without it, the newest",
    },
    {
        "name": "attempt",
        "in": "query",
        "schema": {"type": "string"},
        "description": "an attempt by its name, instead of a chunk and an epoch",
    },
    {"name": "step", "in": "query", "schema": {"type": "string"}, "description": "of this step only, by its name"},
    {
        "name": "stream",
        "in": "query",
        "schema": {"type": "string", "enum": list(STREAMS)},
        "description": "of this stream only",
    },
    {
        "name": "tail",
        "in": "query",
        "schema": {"type": "integer", "minimum": 0, "maximum": TAIL_LIMIT},
        "description": "only the last so many lines of what there is",
    },
    {
        "name": "follow",
        "in": "query",
        "schema": {"type": "boolean", "default": False},
        "description": "server-sent events, until the attempt has ended and all is told",
    },
)
_COMMENT = b": nothing new\n\n"
_SEEN = re.compile(r"([0-9]{1,9})\.([0-9]{1,16})(\.end)?")
_NOT_RECEIVED = "[the rest has not been received]\n"
_SAYS = {"limit": "were more than a log holds", "expired": "are not kept any more"}
_encode = msgspec.json.Encoder().encode


class Query(msgspec.Struct, frozen=True):
    """The parameters of a request."""

    chunk: int | None = None
    epoch: int | None = None
    attempt: str | None = None
    step: str | None = None
    stream: Stream | None = None
    tail: int | None = None
    follow: bool = False


async def job_logs(backend: Backend, job: Node, request: Request) -> Response:
    """The answer. Raises what is wrong with the request, and `Gone` where the log is too old."""
    query = query_of(request)
    asked = asked_of(job, query.chunk, query.epoch, query.attempt)
    steps = [step["name"] for step in job.spec["steps"]]
    if query.step is not None and query.step not in steps:
        raise NotFound(f"the job has no step {query.step[:80]!r}: it has {', '.join(steps)}", field="?step")
    found = await find(backend, job, asked)
    if query.follow:
        seen = _SEEN.fullmatch(request.headers.get("last-event-id", ""))
        if seen is not None and seen[3] and (found is None or found.epoch <= int(seen[1])):
            return Response(status_code=HTTPStatus.NO_CONTENT)
        offset = int(seen[2]) if seen is not None and found is not None and found.epoch == int(seen[1]) else 0
        lines = Lines(steps, Wanted(query.step, query.stream), offset)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        events = _events(backend, job, asked, found, lines, None if offset else query.tail)
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)
    if found is None:
        raise NotFound(f"chunk {asked.chunk} has not been placed yet", field="?chunk")
    told = await _present(backend, found, Lines(steps, Wanted(query.step, query.stream)))
    if query.tail is not None:
        told = last_lines(told, query.tail)
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if "application/x-ndjson" in request.headers.get("accept", ""):
        return Response(
            b"".join(_encode(one) + b"\n" for one in told), headers=headers, media_type="application/x-ndjson"
        )
    return Response(text_of(told), headers=headers, media_type="text/plain")


def query_of(request: Request) -> Query:
    """The parameters. Raises `Invalid` naming the one that is wrong."""
    declared: dict[str, Document] = {parameter["name"]: parameter["schema"] for parameter in PARAMETERS}
    values: Document = {name: _value(name, text, declared[name]) for name, text in request.query_params.items()}
    return Query(**values)


def text_of(told: Iterable[Told]) -> str:
    """Lines as they were written, and in brackets what is missing."""
    texts: list[str] = []
    for one in told:
        if isinstance(one, Missing):
            if texts and not texts[-1].endswith("\n"):
                texts.append("\n")
            texts.append(_remark(one))
        else:
            texts.append(one.text)
    return "".join(texts)


def _remark(missing: Missing) -> str:
    if missing.truncated == "notReceived":
        return _NOT_RECEIVED
    size = f"{missing.bytes} bytes" if missing.bytes is not None else "bytes that nobody counted"
    return f"[{size} {_SAYS[missing.truncated]}]\n"


def _value(name: str, text: str, schema: Document) -> object:
    match schema["type"]:
        case "integer":
            number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else -1
            if not schema["minimum"] <= number <= schema["maximum"]:
                raise Invalid(f"a number from {schema['minimum']} to {schema['maximum']}", field=f"?{name}")
            return number
        case "boolean":
            if text not in ("true", "false"):
                raise Invalid("true or false", field=f"?{name}")
            return text == "true"
    if text not in schema.get("enum", (text,)):
        raise Invalid(" or ".join(schema["enum"]), field=f"?{name}")
    return text


async def _present(backend: Backend, found: Found, lines: Lines) -> list[Told]:
    """All that there is of a log. Raises `Gone` where there was one and its time is over."""
    transcripts = backend.transcripts()
    reader = Reader(transcripts, found.key, lines)
    told = await reader.present()
    if found.ended and not reader.over:
        if reader.found:
            told += lines.ended_early()
        elif _age_s(found.node) > (kept_s := await transcripts.kept_s()):
            raise Gone(f"logs are kept for {timedelta(seconds=kept_s)}", oldest=0)
    return told


def _age_s(attempt: Node) -> float:
    finished = attempt.status.get("finishedAt")
    if finished is None:
        return 0.0
    return (datetime.now(UTC) - datetime.fromisoformat(finished)).total_seconds()


async def _events(
    backend: Backend, job: Node, asked: Asked, found: Found | None, lines: Lines, tail: int | None
) -> AsyncIterator[bytes]:
    """Events until the log is over. Of a chunk that was not placed yet, nothing comes until it is."""
    with backend.changes.watch(job.path) as woken:
        while found is None:
            yield _COMMENT
            await first_of(woken, timeout_s=LOOK_S)
            woken.clear()
            present = await _job_now(backend, job)
            found = await _found_now(backend, job, asked)
            if backend.changes.closed or present is None or (found is None and present.phase in FINISHED):
                return
        async for event in _log_events(backend, found, lines, tail, woken):
            yield event


async def _log_events(
    backend: Backend, found: Found, lines: Lines, tail: int | None, woken: asyncio.Event
) -> AsyncIterator[bytes]:
    attempt = found

    async def ended() -> bool:
        nonlocal attempt
        if not attempt.ended and (node := await backend.reads.node(attempt.node.path)) is not None:
            attempt = Found(attempt.epoch, node)
        return attempt.ended

    loop = asyncio.get_running_loop()
    try:
        transcripts = backend.transcripts()
        reader = Reader(transcripts, found.key, lines)
        begin = last_lines(await reader.present(), tail) if tail is not None else []
    except Transient:
        return  # the client comes again
    for one in begin:
        yield _event(found.epoch, one)
    told_s = loop.time()
    following = follow(transcripts, found.key, reader, ended, woken, lambda: backend.changes.closed)
    async with aclosing(following):
        async for told in following:
            for one in told or ():
                yield _event(found.epoch, one)
            if told:
                told_s = loop.time()
            elif loop.time() - told_s >= HEARTBEAT_S:
                yield _COMMENT
                told_s = loop.time()
    if not backend.changes.closed:
        for one in lines.ended_early() if reader.found and not reader.over else ():
            yield _event(found.epoch, one)
        yield _end(attempt, lines.offset, complete=reader.over)


async def _job_now(backend: Backend, job: Node) -> Node | None:
    """The job, None where it is gone; as it was where the store does not answer."""
    try:
        present = await backend.reads.node(job.path)
    except Transient:
        return job
    return present if present is not None and present.uid == job.uid else None


async def _found_now(backend: Backend, job: Node, asked: Asked) -> Found | None:
    try:
        return await find(backend, job, asked)
    except TendrilError:
        return None


def _event(epoch: int, told: Told) -> bytes:
    name: Literal["line", "truncated"] = "line" if isinstance(told, Line) else "truncated"
    return b"id: %d.%d\nevent: %b\ndata: %b\n\n" % (epoch, told.offset, name.encode(), _encode(told))


def _end(found: Found, offset: int, *, complete: bool) -> bytes:
    data = {
        "attempt": last_name(found.node.path),
        "epoch": found.epoch,
        "phase": found.node.phase,
        "complete": complete,
    }
    return b"id: %d.%d.end\nevent: end\ndata: %b\n\n" % (found.epoch, offset, _encode(data))
