"""Lists of nodes: a page of them as of one position, or a watch."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from datamodel.errors import NotFound
from datamodel.kinds import Document
from datamodel.node import Node
from datamodel.query import Page, page
from gateway.backend import Backend
from gateway.rest.answer import json_answer
from gateway.rest.query import Asked, naming_parameters
from gateway.rest.watch import answer_watch


async def answer_list(
    backend: Backend, request: Request, asked: Asked, document: Callable[[Node], Document], named: str = ""
) -> Response:
    """The answer to what is asked of a list. Raises `NotFound` where there is nothing below which it could be, naming the
    parameter that says so."""
    if asked.watch:
        return await answer_watch(backend, request, asked, document)
    found = await listed_below(backend, asked, named)
    return json_answer(list_document(found, [document(node) for node in found.nodes]))


async def listed_below(backend: Backend, asked: Asked, named: str) -> Page:
    """The page. Raises as `listed` does, and `NotFound` naming the parameter where there is no node below which it could be."""
    found = await listed(backend, asked)
    if not found.nodes and asked.query.under:
        try:
            await backend.node_at(asked.query.under, found.position)
        except NotFound as error:
            error.field = named
            raise
    return found


async def listed(backend: Backend, asked: Asked) -> Page:
    """The page. Raises `Invalid` and `Gone` naming the parameter."""
    with naming_parameters():
        return await page(backend.store, asked.query, cursor=asked.cursor, as_of=asked.as_of)


def list_document(found: Page, items: list[Document]) -> Document:
    """A page as REST shows it. Its bookmark is what a watch goes on from."""
    return {
        "items": items,
        "cursor": found.cursor or None,
        "position": found.position,
        "bookmark": found.bookmark.text,
    }
