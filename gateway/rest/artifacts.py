"""Artifacts over REST: the list of a job's, and each as it is, whole or from any byte on."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from http import HTTPStatus

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from datamodel.artifacts.reading import is_there, read, read_whole
from datamodel.errors import Gone, Invalid, NotFound, TendrilError
from datamodel.kinds import Document
from datamodel.names import last_name
from datamodel.node import Node
from gateway.artifacts import Found, artifacts_of, find
from gateway.backend import Backend
from gateway.page import LIMIT_DEFAULT, LIMIT_MAX, checked_limit
from gateway.problem import problem
from gateway.rest.answer import json_answer
from gateway.rest.conditions import IF_NONE_MATCH

PARAMETERS: tuple[Document, ...] = (
    {
        "name": "limit",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT},
        "description": "of how many chunks",
    },
    {"name": "cursor", "in": "query", "schema": {"type": "string"}, "description": "the `cursor` of the page before"},
)
HEADERS: tuple[Document, ...] = (
    {
        "name": "Range",
        "in": "header",
        "schema": {"type": "string"},
        "description": "one range of bytes, as `bytes=FIRST-LAST`; of several, or of another unit, all is sent",
    },
    IF_NONE_MATCH,
    {
        "name": "If-Range",
        "in": "header",
        "schema": {"type": "string"},
        "description": "an `ETag` of before: where it is another one, all is sent",
    },
)
_MEDIA_TYPE = "application/octet-stream"
_NUMBER = re.compile(r"[0-9]{1,9}")
_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})")
_log = structlog.get_logger("artifacts")


async def list_artifacts(backend: Backend, job: Node, request: Request) -> Response:
    """The artifacts of the chunks that have succeeded, in order. Raises what is wrong with the request."""
    limit, cursor = request.query_params.get("limit"), request.query_params.get("cursor")
    chunks = LIMIT_DEFAULT if limit is None else checked_limit(_number(limit), "?limit")
    if cursor and not _NUMBER.fullmatch(cursor):
        raise Invalid("this is no cursor of a list", field="?cursor")
    found, last = await artifacts_of(backend.store, job, _number(cursor) if cursor else -1, chunks)
    return json_answer({"items": found, "cursor": None if last is None else str(last)})


async def get_artifact(backend: Backend, job: Node, request: Request) -> Response:
    """An artifact, or a part of it; of a HEAD, what would come. Raises `NotFound`, and `Gone` where it is not kept any more."""
    chunk, name = request.path_params["chunk"], request.path_params["artifact"]
    if _NUMBER.fullmatch(chunk) is None:
        raise NotFound("a chunk is named by its index")
    found = await find(backend.store, job, int(chunk), name)
    pieces = backend.artifacts()
    if not await is_there(pieces, found.key, found.size_bytes):
        raise Gone(f"artifacts are kept for {timedelta(seconds=await pieces.kept_s())} where there is room", oldest=0)
    etag, size = f'"{found.sha256}"', found.size_bytes
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-cache",
        "Content-Disposition": f'attachment; filename="{last_name(job.path)}-{chunk}-{name}"',
        "ETag": etag,
        "X-Content-Type-Options": "nosniff",
    }
    if _names(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    if request.method == "HEAD":  # of which a range means nothing
        return Response(None, HTTPStatus.OK, _sized(headers, size), media_type=_MEDIA_TYPE)
    wanted = range_of(request.headers.get("range", ""), size)
    if wanted is None or request.headers.get("if-range", etag) != etag:
        whole = read_whole(pieces, found.key, size, found.sha256)
        return _stream(_until_broken(whole, found), size, HTTPStatus.OK, headers)
    begin, end = wanted
    if begin >= end:
        headers["Content-Range"] = f"bytes */{size}"
        detail = f"the artifact has {size} bytes"
        return problem(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, detail, request.url.path, (), headers)
    headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
    part = read(pieces, found.key, size, begin, end)
    return _stream(_until_broken(part, found), end - begin, HTTPStatus.PARTIAL_CONTENT, headers)


def range_of(header: str, size_bytes: int) -> tuple[int, int] | None:
    """The first byte and the one behind the last that a `Range` asks for (RFC 9110, 14.1.2); None where that is not one range
    of bytes, which is as if there were none. Where there are no such bytes, the first is not before the one behind the last."""
    found = _RANGE.fullmatch(header)
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        return max(0, size_bytes - int(found[2])), size_bytes
    begin = int(found[1])
    if found[2] and int(found[2]) < begin:
        return None
    return begin, min(int(found[2]) + 1 if found[2] else size_bytes, size_bytes)


def _stream(parts: AsyncIterator[bytes], length: int, status: HTTPStatus, headers: dict[str, str]) -> Response:
    return StreamingResponse(parts, status, _sized(headers, length), media_type=_MEDIA_TYPE)


def _sized(headers: dict[str, str], length: int) -> dict[str, str]:
    return {**headers, "Content-Length": str(length)}


async def _until_broken(parts: AsyncIterator[bytes], found: Found) -> AsyncIterator[bytes]:
    """Where it breaks off, fewer bytes come than were promised: the client knows by that, and can ask for the rest."""
    try:
        async for part in parts:
            yield part
    except TendrilError as error:
        _log.warning("an artifact breaks off", key=found.key, error=error.message)


def _names(header: str, etag: str) -> bool:
    return any(one.strip().removeprefix("W/") in (etag, "*") for one in header.split(","))


def _number(text: str) -> int:
    return int(text) if _NUMBER.fullmatch(text) else 0
