"""What the log tells of a node of any kind: as it was, the events that made it so, and what differs between two moments."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from datamodel.difference import Difference
from datamodel.errors import Invalid
from datamodel.kinds import Document
from datamodel.moments import Moment, position_of
from datamodel.node import Node
from gateway.backend import Backend
from gateway.page import LIMIT_DEFAULT, checked_limit
from gateway.past import difference_of, history_of
from gateway.rest.answer import json_answer, node_document
from gateway.rest.query import flag_of, moment_of, naming_parameters, number_of
from gateway.rest.route import LIMIT

HISTORY: tuple[Document, ...] = (
    {
        "name": "sort",
        "in": "query",
        "schema": {"enum": ["position", "-position"], "default": "-position"},
        "description": "the newest first, or the oldest",
    },
    LIMIT,
    {"name": "cursor", "in": "query", "schema": {"type": "string"}, "description": "the `cursor` of the page before"},
)
_MOMENT = "a position of the log or a time (RFC 3339)"
DIFF: tuple[Document, ...] = (
    {
        "name": "from",
        "in": "query",
        "required": True,
        "schema": {"type": "string"},
        "description": f"the first moment: {_MOMENT}",
    },
    {
        "name": "to",
        "in": "query",
        "schema": {"type": "string"},
        "description": f"the second moment: {_MOMENT}; without it, the present",
    },
    {
        "name": "below",
        "in": "query",
        "schema": {"type": "boolean", "default": False},
        "description": "everything below the node too",
    },
    *HISTORY[1:],
)


async def node_as_of(backend: Backend, path: str, moment: Moment | None) -> Node:
    """The node as it was at a moment, None for the present. Raises `NotFound`, `Invalid` and `Gone`."""
    if moment is None:
        return await backend.node(path)
    with naming_parameters():
        return await backend.node_at(path, await position_of(backend.store, moment))


async def answer_history(backend: Backend, path: str, request: Request) -> Response:
    """The events of all nodes that have lived at a path. Raises `NotFound` where none has, as far as the log is kept."""
    given = request.query_params
    limit, sort = _limit(given), given.get("sort", "-position")
    if sort not in ("position", "-position"):
        raise Invalid("position or -position", field="?sort")
    found = await history_of(
        backend, path, limit=limit, cursor=given.get("cursor"), oldest_first=sort == "position", field="?cursor"
    )
    return json_answer({"items": found.events, "cursor": found.cursor, "keptFrom": found.kept_from})


async def answer_difference(backend: Backend, path: str, request: Request) -> Response:
    """What is different at a path, and with `below` everywhere below it, from one moment to a later one."""
    given = request.query_params
    limit, below = _limit(given), flag_of(given, "below")
    first, second = moment_of(given, "from"), moment_of(given, "to")
    if first is None:
        raise Invalid("from which moment?", field="?from")
    with naming_parameters():
        found = await difference_of(
            backend, path, (first, second), below=below, limit=limit, cursor=given.get("cursor"), field="/cursor"
        )
    items = [_difference_document(backend, one) for one in found.found]
    return json_answer({"items": items, "cursor": found.cursor, "from": found.first, "to": found.second})


def _difference_document(backend: Backend, found: Difference) -> Document:
    return {
        "path": found.path,
        "change": found.kind,
        "before": node_document(backend.model, found.before) if found.before is not None else None,
        "after": node_document(backend.model, found.after) if found.after is not None else None,
    }


def _limit(given: Mapping[str, str]) -> int:
    limit = given.get("limit")
    return LIMIT_DEFAULT if limit is None else checked_limit(number_of(limit), "?limit")
