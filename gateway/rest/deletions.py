"""Deletions that somebody has yet to finish: which nodes wait, for how long, and for whom."""

from datetime import UTC, datetime
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from datamodel.kinds import Document
from datamodel.node import Node
from gateway.backend import Backend
from gateway.page import LIMIT_DEFAULT, after_cursor, checked_limit, cursor_of
from gateway.rest.answer import json_answer
from gateway.rest.query import number_of
from gateway.rest.route import QUERY_PAGE, DirectRoute, route


def deletion_routes(backend: Backend) -> list[DirectRoute]:
    async def deletions(request: Request) -> Response:
        return await answer_deletions(backend, request)

    return [
        route(
            "GET",
            "/v1/deletions",
            deletions,
            summary="List the nodes that are being deleted, and who has to clean up first",
            tag="deletions",
            answer="DeletionList",
            parameters=QUERY_PAGE,
            problems=(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
        )
    ]


async def answer_deletions(backend: Backend, request: Request) -> Response:
    """A page of the nodes of all kinds whose deletion was requested, in order of path."""
    given = request.query_params
    limit = checked_limit(number_of(given["limit"]), "?limit") if "limit" in given else LIMIT_DEFAULT
    after = after_cursor(given["cursor"], "?cursor") if given.get("cursor") else ""
    found = await backend.store.deleting(after=after, limit=limit + 1)
    now = datetime.now(UTC)
    cursor = cursor_of(found[limit - 1].path) if len(found) > limit else None
    return json_answer({"items": [_document(node, now) for node in found[:limit]], "cursor": cursor})


def _document(node: Node, now: datetime) -> Document:
    assert node.deletion_requested_at is not None, "it is being deleted"
    return {
        "path": node.path,
        "kind": node.kind,
        "uid": node.uid,
        "deletionRequestedAt": node.deletion_requested_at,
        "ageS": max(0, int((now - node.deletion_requested_at).total_seconds())),
        "finalizers": node.finalizers,
    }
