"""Request bodies: JSON objects, bounded in bytes, depth and time while they are read."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from datamodel.errors import Invalid
from datamodel.kinds import Document
from datamodel.parts import DEPTH_LIMIT, is_too_deep

JSON = "application/json"
LIMIT_BYTES = 1024 * 1024
READ_TIMEOUT_S = 30.0

_decode = msgspec.json.decode
_encode = msgspec.json.Encoder().encode


async def read_document(request: Request, limit_bytes: int = LIMIT_BYTES) -> tuple[Document, bytes]:
    """The JSON object that a request carries, and its bytes, of which there may be so many.

    Raises `HTTPException` for another media type (415), a body that is too large (413), too slow (408) or no JSON (400),
    `Invalid` for JSON that is no object.
    """
    document, body, _ = await read_json(request, (JSON,), limit_bytes)
    if not isinstance(document, dict):
        raise Invalid("the document must be a JSON object")
    return document, body


async def read_hidden_document(request: Request, limit_bytes: int = LIMIT_BYTES) -> tuple[Document, bytes]:
    """As `read_document`, of what may have secrets in it: no error shows any of it, and none keeps one that does as its
    cause."""
    try:
        return await read_document(request, limit_bytes)
    except HTTPException as error:
        if error.status_code != HTTPStatus.BAD_REQUEST or isinstance(error.__cause__, RecursionError):
            raise
        detail = "the body is not JSON, or a member comes twice in one of its objects"
        raise HTTPException(HTTPStatus.BAD_REQUEST, detail) from None


async def read_json(
    request: Request, media_types: Sequence[str], limit_bytes: int = LIMIT_BYTES
) -> tuple[Any, bytes, str]:
    """The JSON that a request carries, its bytes, and of which of these media types it is. Raises `HTTPException` as
    `read_document` does."""
    media_type = _checked_media_type(request, media_types)
    body = await _read(request, limit_bytes)
    return decoded(body), body, media_type


def _checked_media_type(request: Request, media_types: Sequence[str]) -> str:
    named, _, parameters = request.headers.get("content-type", "").partition(";")
    media_type, charset = named.strip().lower(), parameters.strip().lower().replace('"', "")
    if media_type not in media_types or charset not in ("", "charset=utf-8"):
        detail = f"the body must be {' or '.join(media_types)} in UTF-8"
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail, {"Accept": ", ".join(media_types)})
    if request.headers.get("content-encoding", "identity") != "identity":
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body must not be compressed")
    return media_type


async def _read(request: Request, limit_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            more = True
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > limit_bytes:
                    detail = f"the body is at most {limit_bytes} bytes here"
                    raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, _CLOSE)
                chunks.append(chunk)
                more = message.get("more_body", False)
    except TimeoutError as error:
        detail = f"the body did not arrive within {READ_TIMEOUT_S:.0f} s"
        raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, detail, _CLOSE) from error
    return b"".join(chunks)


_CLOSE = {"Connection": "close"}
"""The rest of the body would be taken for the next request."""


def decoded(body: bytes) -> Any:
    """What the bytes say. Raises `HTTPException` (400) where they are no JSON, or are nested too deeply.

    msgspec is the strict judge (UTF-8, surrogates, numbers), the second reader finds what it lets pass: members that come
    twice."""
    try:
        document = _decode(body)
        _check_depth(body, document)
        if _encode(document) != body:  # what comes out as it went in has no twins
            _find_twins(body.decode())
    except RecursionError as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"JSON is nested deeper than {DEPTH_LIMIT} levels") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {_complaint(body, error)}") from error
    return document


def _complaint(body: bytes, error: Exception) -> str:
    """What is wrong. Of one half of a surrogate pair at the end of a string, msgspec says that the body is cut off."""
    if b"\\ud" in body.lower():
        with suppress(ValueError, RecursionError):
            json.loads(body)
            return "an escape as \\ud800 is half of a surrogate pair, and its other half is missing"
    return str(error)


def _check_depth(body: bytes, document: Any) -> None:
    if body.count(b"{") + body.count(b"[") <= DEPTH_LIMIT:  # brackets in strings only make this look closer
        return
    if is_too_deep(document):
        raise RecursionError


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) < len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"the member {twin[:80]!r} comes twice in one JSON object")


_find_twins = json.JSONDecoder(object_pairs_hook=_unique).decode
