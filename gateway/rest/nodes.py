"""Routes for every declared kind: one generic handler each to read, list, create, apply and delete."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from datamodel.command import Command
from datamodel.errors import Invalid, NotFound
from datamodel.kinds import Document, Kind
from datamodel.names import check_name, last_name
from datamodel.node import Node
from gateway.backend import Backend
from gateway.exposure import check_deletable, is_written_by_users
from gateway.labels import checked_labels, escaped
from gateway.rest.answer import json_answer, node_document
from gateway.rest.body import read_document
from gateway.rest.lists import answer_list
from gateway.rest.query import RESUME, WATCH, asked_of, list_parameters
from gateway.rest.route import LISTING, READING, WRITING, DirectRoute, route

PREFIX = "/v1"


def node_routes(backend: Backend) -> list[DirectRoute]:
    """The routes of all kinds of the model."""
    return [route for kind in backend.model.kinds.values() for route in _Nodes(backend, kind).routes()]


class _Nodes:
    """The handlers of one kind."""

    def __init__(self, backend: Backend, kind: type[Kind]) -> None:
        self._backend = backend
        self._kind = kind

    def routes(self) -> list[DirectRoute]:
        kind = self._kind.__name__
        collection, one = self._templates()
        routes = [route("GET", one, self.get, summary=f"Read {kind}", tag=kind, answer=kind, problems=READING)]
        writes = is_written_by_users(self._kind)
        if writes:
            routes.append(
                route(
                    "PUT",
                    one,
                    self.put,
                    summary=f"Apply {kind}",
                    tag=kind,
                    answer=kind,
                    body=f"{kind}Apply",
                    also=HTTPStatus.CREATED,
                    problems=WRITING,
                )
            )
        if self._kind.singleton:
            return routes
        routes.append(
            route(
                "GET",
                collection,
                self.list_nodes,
                summary=f"List {kind}",
                tag=kind,
                answer=f"{kind}List",
                other_types=("text/event-stream",),
                parameters=(*list_parameters(self._kind), WATCH, RESUME),
                problems=LISTING,
            )
        )
        if writes:
            routes += [
                route(
                    "POST",
                    collection,
                    self.create,
                    summary=f"Create {kind}",
                    tag=kind,
                    answer=kind,
                    status=HTTPStatus.CREATED,
                    body=f"{kind}Create",
                    problems=WRITING,
                ),
                route(
                    "DELETE",
                    one,
                    self.delete,
                    summary=f"Delete {kind}",
                    tag=kind,
                    answer=kind,
                    status=HTTPStatus.ACCEPTED,
                    also=HTTPStatus.NO_CONTENT,
                    problems=(*READING, HTTPStatus.CONFLICT),
                ),
            ]
        return routes

    def _templates(self) -> tuple[str, str]:
        """The URL templates of the collection and of one node; parameters are named as their kinds."""
        names: list[str] = []
        above: type[Kind] | None = self._kind
        while above is not None:
            if not above.singleton:
                names.append(above.__name__[0].lower() + above.__name__[1:])
            above = above.parent
        template = self._backend.model.collection(self._kind).format(*(f"{{{name}}}" for name in reversed(names)))
        return f"{PREFIX}{template.rpartition('/')[0]}", f"{PREFIX}{template}"

    async def get(self, request: Request) -> Response:
        node = await self._backend.node(self._path(request))
        return json_answer(node_document(self._backend.model, node))

    async def list_nodes(self, request: Request) -> Response:
        under = request.scope["path"][len(PREFIX) :].rpartition("/")[0]
        self._locate(under)
        asked = asked_of(request, self._kind, under=under, watches=True)
        return await answer_list(self._backend, request, asked, self._document)

    async def create(self, request: Request) -> Response:
        document, _ = await read_document(request)
        meta, spec = _parts(document)
        name = meta.get("name")
        if not isinstance(name, str):
            raise Invalid("a name is required: a DNS label", field="/metadata/name")
        path = f"{request.scope['path'][len(PREFIX) :]}/{check_name(name)}"
        self._locate(path)
        verdict = await self._backend.carry_out(Command("create", path, spec, _labels(meta)))
        node = await self._backend.node_after(verdict)
        document = node_document(self._backend.model, node)
        return json_answer(document, HTTPStatus.CREATED, {"Location": f"{PREFIX}{path}"})

    async def put(self, request: Request) -> Response:
        path = self._path(request)
        document, _ = await read_document(request)
        meta, spec = _parts(document)
        if meta.get("name", last_name(path)) != last_name(path):
            raise Invalid("the name is not the one in the address", field="/metadata/name")
        verdict = await self._backend.carry_out(Command("apply", path, spec, _labels(meta)))
        node = await self._backend.node_after(verdict)
        created = verdict.outcome == "changed" and verdict.version == node.created_version
        status = HTTPStatus.CREATED if created else HTTPStatus.OK
        return json_answer(node_document(self._backend.model, node), status)

    async def delete(self, request: Request) -> Response:
        path = self._path(request)
        check_deletable(self._backend.model, path)
        node = await self._backend.delete(path)
        if node is None:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        return json_answer(node_document(self._backend.model, node), HTTPStatus.ACCEPTED)

    def _document(self, node: Node) -> Document:
        return node_document(self._backend.model, node)

    def _path(self, request: Request) -> str:
        path: str = request.scope["path"][len(PREFIX) :]
        self._locate(path)
        return path

    def _locate(self, path: str) -> None:
        """Raises `NotFound` for an address at which no node can be."""
        try:
            self._backend.model.locate(path)
        except Invalid as error:
            raise NotFound(error.message) from error


def _parts(document: Document) -> tuple[Document, Document]:
    """Metadata and spec of a sent node. Raises `Invalid` naming what is none of both or no object."""
    for name, value in document.items():
        if name not in ("metadata", "spec"):
            raise Invalid("a document has `metadata` and `spec`", field=f"/{escaped(name)}")
        if not isinstance(value, dict):
            raise Invalid("this must be an object", field=f"/{name}")
    meta: Document = document.get("metadata", {})
    for name in meta:
        if name not in ("name", "labels"):
            raise Invalid("metadata has `name` and `labels`", field=f"/metadata/{escaped(name)}")
    return meta, document.get("spec", {})


def _labels(meta: Document) -> dict[str, str] | None:
    return checked_labels(meta["labels"], "/metadata/labels") if "labels" in meta else None
