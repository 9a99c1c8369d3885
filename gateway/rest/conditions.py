"""Conditional requests: a node's version as its `ETag`, and what `If-Match` and `If-None-Match` make of it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import Request

from datamodel.errors import Conflict, Invalid
from datamodel.kinds import Document
from datamodel.node import Node
from gateway.once import Once
from gateway.unmet import Unmet

IF_MATCH: Document = {
    "name": "If-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "an `ETag` of before: where the node is another since, nothing is done (412)",
}
IF_NONE_MATCH: Document = {
    "name": "If-None-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "an `ETag` of before: where the node is the same still, it is not sent (304)",
}
IF_ABSENT: Document = {
    "name": "If-None-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "`*`: where there is a node already, nothing is done (412)",
}
_TAG = re.compile(r'"([0-9]{1,18})"')


def etag_of(node: Node) -> dict[str, str]:
    """The header of an answer that shows a node."""
    return {"ETag": f'"{node.version}"'}


def is_known(request: Request, node: Node) -> bool:
    """Whether the client has this version of the node already."""
    tags = request.headers.get("if-none-match", "")
    return tags.strip() == "*" or node.version in _versions(tags.replace("W/", ""))


def must_be_absent(request: Request) -> bool:
    """Whether the node must not be there. Raises `Invalid` for what cannot be a condition of writing."""
    tags = request.headers.get("if-none-match")
    if tags is not None and tags.strip() != "*":
        raise Invalid("here it can only be *", field="If-None-Match")
    return tags is not None


async def expected_version(once: Once, request: Request, path: str) -> int | None:
    """The version that the node must have, None where any will do, or where the request is one that was carried out before.
    Raises `Unmet` where it has none of those that are named."""
    tags = request.headers.get("if-match")
    if tags is None:
        return None
    versions = _versions(tags)
    if len(versions) == 1:
        return versions[0]
    if await once.replayed() is not None:
        return None
    node = await once.backend.reads.node(path)
    if node is None or not (tags.strip() == "*" or node.version in versions):
        raise Unmet(f"{path} is no node of such a version", field="If-Match")
    return node.version


@contextmanager
def conditions_of(request: Request) -> Iterator[None]:
    """Makes a refusal because of a condition of the request name it."""
    try:
        yield
    except Conflict as error:
        if error.field == "/metadata/version" and "if-match" in request.headers:
            raise Unmet(error.message, field="If-Match") from error
        if error.field == "/metadata/name" and "if-none-match" in request.headers:
            raise Unmet(error.message, field="If-None-Match") from error
        raise


def _versions(tags: str) -> list[int]:
    return [int(found[1]) for tag in tags.split(",") if (found := _TAG.fullmatch(tag.strip())) is not None]
