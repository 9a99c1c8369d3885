"""Routes for every declared kind, from its declaration alone: what reads, and where users write the spec, what writes."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from datamodel.errors import Invalid, NotFound
from datamodel.kinds import Document, Kind
from datamodel.node import Node
from gateway.backend import Backend
from gateway.exposure import is_deleted_by_users, is_written_by_users
from gateway.patches import JSON_PATCH, MERGE_PATCH
from gateway.rest.answer import json_answer, node_document
from gateway.rest.conditions import IF_ABSENT, IF_MATCH, IF_NONE_MATCH, etag_of, is_known
from gateway.rest.lists import answer_list
from gateway.rest.past import DIFF, HISTORY, answer_difference, answer_history, node_as_of
from gateway.rest.query import AS_OF, RESUME, WATCH, asked_of, list_parameters, moment_of
from gateway.rest.replay import KEY
from gateway.rest.route import LISTING, WRITING, DirectRoute, route
from gateway.rest.writing import DELETING, DELETING_PROBLEMS, DRY_RUN, Writing

PREFIX = "/v1"
STATUS, PAST, CHANGES = "status", "history", "diff"
"""What follows a node's address; a child that is declared at such a word has the address."""
_WRITING = (*WRITING, HTTPStatus.PRECONDITION_FAILED)


def node_routes(backend: Backend) -> list[DirectRoute]:
    """The routes of all kinds of the model."""
    return [route for kind in backend.model.kinds.values() for route in _Nodes(backend, kind).routes()]


class _Nodes:
    """The routes of one kind, and what they read."""

    def __init__(self, backend: Backend, kind: type[Kind]) -> None:
        self._backend = backend
        self._kind = kind
        self._name = kind.__name__
        self._writing = Writing(backend, self._path)

    def routes(self) -> list[DirectRoute]:
        collection, one = self._templates()
        routes = self._reading(one)
        writes = is_written_by_users(self._kind)
        if writes:
            routes += self._changing(one)
        if not self._kind.singleton:
            routes.append(self._listing(collection))
        if writes and not self._kind.singleton:
            routes.append(self._creating(collection))
        if is_deleted_by_users(self._kind):
            routes.append(self._deleting(one))
        return routes

    def _reading(self, one: str) -> list[DirectRoute]:
        name = self._name
        taken = {child.segment for child in self._backend.model.children(self._kind)}
        found = {
            "": route(
                "GET",
                one,
                self.get,
                summary=f"Read {name}",
                tag=name,
                answer=name,
                also=HTTPStatus.NOT_MODIFIED,
                parameters=(AS_OF, IF_NONE_MATCH),
                problems=LISTING,
            ),
            STATUS: route(
                "GET",
                f"{one}/{STATUS}",
                self.status,
                summary=f"Read the status of {name}",
                tag=name,
                answer=self._kind.Status.__name__,
                also=HTTPStatus.NOT_MODIFIED,
                parameters=(AS_OF, IF_NONE_MATCH),
                problems=LISTING,
            ),
            PAST: route(
                "GET",
                f"{one}/{PAST}",
                self.history,
                summary=f"Read the events of {name}",
                tag=name,
                answer="History",
                parameters=HISTORY,
                problems=LISTING,
            ),
            CHANGES: route(
                "GET",
                f"{one}/{CHANGES}",
                self.diff,
                summary=f"Compare {name} between two moments",
                tag=name,
                answer="Differences",
                parameters=DIFF,
                problems=LISTING,
            ),
        }
        return [route for word, route in found.items() if word not in taken]

    def _changing(self, one: str) -> list[DirectRoute]:
        name = self._name
        return [
            route(
                "PUT",
                one,
                self._writing.put,
                summary=f"Apply {name}",
                tag=name,
                answer=name,
                body=f"{name}Apply",
                also=HTTPStatus.CREATED,
                parameters=(DRY_RUN, IF_MATCH, IF_ABSENT, KEY),
                problems=_WRITING,
            ),
            route(
                "PATCH",
                one,
                self._writing.patch,
                summary=f"Patch {name}",
                tag=name,
                answer=name,
                bodies={MERGE_PATCH: f"{name}Patch", JSON_PATCH: "JsonPatch"},
                parameters=(DRY_RUN, IF_MATCH, KEY),
                problems=_WRITING,
            ),
        ]

    def _listing(self, collection: str) -> DirectRoute:
        return route(
            "GET",
            collection,
            self.list_nodes,
            summary=f"List {self._name}",
            tag=self._name,
            answer=f"{self._name}List",
            other_types=("text/event-stream",),
            parameters=(*list_parameters(self._kind), WATCH, RESUME),
            problems=LISTING,
        )

    def _creating(self, collection: str) -> DirectRoute:
        return route(
            "POST",
            collection,
            self.create,
            summary=f"Create {self._name}",
            tag=self._name,
            answer=self._name,
            status=HTTPStatus.CREATED,
            also=HTTPStatus.OK,
            body=f"{self._name}Create",
            parameters=(DRY_RUN, IF_ABSENT, KEY),
            problems=_WRITING,
        )

    def _deleting(self, one: str) -> DirectRoute:
        return route(
            "DELETE",
            one,
            self._writing.delete,
            summary=f"Delete {self._name}",
            tag=self._name,
            answer=self._name,
            status=HTTPStatus.ACCEPTED,
            also=HTTPStatus.NO_CONTENT,
            other_answers={HTTPStatus.OK: "DeletePreview"},
            parameters=DELETING,
            problems=DELETING_PROBLEMS,
        )

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
        node = await self._read(request, self._path(request))
        return self._shown(request, node, self._document(node))

    async def status(self, request: Request) -> Response:
        node = await self._read(request, self._path(request, STATUS))
        return self._shown(request, node, self._document(node)["status"])

    async def history(self, request: Request) -> Response:
        return await answer_history(self._backend, self._path(request, PAST), request)

    async def diff(self, request: Request) -> Response:
        return await answer_difference(self._backend, self._path(request, CHANGES), request)

    async def list_nodes(self, request: Request) -> Response:
        under = request.scope["path"][len(PREFIX) :].rpartition("/")[0]
        self._locate(under)
        asked = asked_of(request, self._kind, under=under)
        return await answer_list(self._backend, request, asked, self._document)

    async def create(self, request: Request) -> Response:
        def path_of(name: str) -> str:
            path = f"{request.scope['path'][len(PREFIX) :]}/{name}"
            self._locate(path)
            return path

        return await self._writing.create(request, path_of)

    async def _read(self, request: Request, path: str) -> Node:
        return await node_as_of(self._backend, path, moment_of(request.query_params, "asOf"))

    def _shown(self, request: Request, node: Node, document: Document) -> Response:
        if is_known(request, node):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=etag_of(node))
        return json_answer(document, headers=etag_of(node))

    def _document(self, node: Node) -> Document:
        return node_document(self._backend.model, node)

    def _path(self, request: Request, word: str = "") -> str:
        """The path of the node that the address names, before a word that may follow it."""
        path: str = request.scope["path"][len(PREFIX) :]
        path = path.removesuffix(f"/{word}") if word else path
        self._locate(path)
        return path

    def _locate(self, path: str) -> None:
        """Raises `NotFound` for an address at which no node can be."""
        try:
            self._backend.model.locate(path)
        except Invalid as error:
            raise NotFound(error.message) from error
