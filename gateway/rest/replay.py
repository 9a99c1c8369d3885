"""Idempotency keys: a request that is sent again with its key does nothing again."""

import hashlib

from starlette.requests import Request

from datamodel.command import Actor
from datamodel.kinds import Document
from gateway.backend import ACTOR, Backend
from gateway.once import Once

KEY: Document = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "maxLength": 255},
    "description": "a request that is sent again with its key does nothing again, for 24 hours",
}


def once_of(
    backend: Backend, request: Request, body: bytes = b"", *, dry_run: bool = False, actor: Actor = ACTOR
) -> Once:
    """How a request writes."""
    key, digest = replay_guard(request, body)
    return Once(backend, key, digest, dry_run, actor)


def replay_guard(request: Request, body: bytes = b"") -> tuple[str, str]:
    """The idempotency key, empty where there is none, and the digest of what it stands for."""
    key = request.headers.get("idempotency-key", "")
    if not key:
        return "", ""
    told = (request.method, request.url.path, request.url.query, request.headers.get("content-type", ""))
    digest = hashlib.sha256("\0".join(told).encode())
    digest.update(b"\0" + body)
    return key, digest.hexdigest()
