"""Server-sent events of a job's status: the present first, then every change that the client is quick enough to see."""

import asyncio
import re
from collections.abc import AsyncIterator
from http import HTTPStatus

import msgspec
from starlette.responses import Response, StreamingResponse

from datamodel.errors import Transient
from datamodel.node import Node
from datamodel.scheduling.jobs import FINISHED
from gateway.backend import Backend
from gateway.jobs import job_status
from gateway.rest.answer import metadata

HEARTBEAT_S = 10.0
_COMMENT = b": the job lives\n\n"
_POSITION = re.compile(r"[0-9]{1,19}")
_encode = msgspec.json.Encoder().encode


def job_events(backend: Backend, job: Node, last_event_id: str) -> Response:
    """The stream of a job. The id of an event is the job's version, so a client that comes back is sent what is newer; one
    that has seen the end is told to stop (204, as `EventSource` understands it)."""
    seen = int(last_event_id) if _POSITION.fullmatch(last_event_id) else 0
    if _has_ended(job) and job.version <= seen:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(backend, job, seen), media_type="text/event-stream", headers=headers)


async def _stream(backend: Backend, job: Node, seen: int) -> AsyncIterator[bytes]:
    """Events until the job has ended or is gone, or the gateway stops. The heartbeat looks again too, so a change that the
    feed did not tell of is late and not lost."""
    with backend.changes.watch(job.path) as wake:
        while not backend.changes.closed:
            wake.clear()
            present: Node | None = job
            try:
                present = await backend.reads.node(job.path)
            except Transient:
                yield _COMMENT
            if present is None or present.uid != job.uid:
                yield b"event: deleted\ndata: {}\n\n"
                return
            if present.version > seen:
                seen = present.version
                yield _event(present)
            if _has_ended(present):
                return
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await wake.wait()
            except TimeoutError:
                yield _COMMENT


def _has_ended(job: Node) -> bool:
    """Whether nothing more is to be told: of one that is being deleted, that it is gone."""
    return job.phase in FINISHED and job.deletion_requested_at is None


def _event(job: Node) -> bytes:
    data = _encode({"metadata": metadata(job), "status": job_status(job)})
    return b"id: %d\nevent: status\ndata: %b\n\n" % (job.version, data)
