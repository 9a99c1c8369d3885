"""The routes of Nexus' scheduler: job requests, and what can be read of sites, edges, their jobs and the scheduler."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from datamodel.command import Command, Verdict, raise_refused
from datamodel.errors import Conflict, Invalid, NotFound
from datamodel.kinds import Document
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.plan import Query
from datamodel.pool import Pool
from datamodel.scheduling.scheduler import SCHEDULER
from gateway.backend import Backend
from gateway.executions import executions_of
from gateway.fronts import nexus as shown
from gateway.fronts.given import read_given
from gateway.fronts.pointers import naming
from gateway.page import LIMIT_MAX, checked_limit
from gateway.rest.answer import json_answer
from gateway.rest.lists import listed
from gateway.rest.query import Asked, number_of
from gateway.rest.route import LISTING, READING, WRITING, DirectRoute, route

PREFIX = "/v1alpha1"
TAG = "Nexus"
LIMIT_DEFAULT = 500
"""As Nexus has it."""
PARAMETERS: tuple[Document, ...] = (
    {
        "name": "limit",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT},
        "description": "the most that a page has",
    },
    {
        "name": "continue",
        "in": "query",
        "schema": {"type": "string"},
        "description": "where a page begins: the answer's `Link` to the `next` one has it",
    },
)
UNLESS: Document = {
    "name": "update_if_exists",
    "in": "query",
    "schema": {"type": "boolean", "default": True},
    "description": "false: a job that there is already is left alone",
}
_ROUNDS = 2
"""At a group that somebody else makes at the same time."""


@dataclass(frozen=True, slots=True)
class _Served:
    """A kind of node: its collection's address and path, each with the names that stand in it."""

    kind: str
    address: str
    path: str
    word: str
    name: str


_REQUESTS = _Served("Job", "/job-groups/{group}/job-requests", "/config/job-groups/{group}/jobs", "job request", "job")
_SERVED = (
    _REQUESTS,
    _Served("Site", "/sites", "/inventory/sites", "site", "site"),
    _Served("Edge", "/sites/{site}/edges", "/inventory/sites/{site}/edges", "edge", "edge"),
    _Served("DesiredSite", "/info/sites", "/desired-config/sites", "site's desired state", "site"),
    _Served(
        "DesiredEdge", "/info/sites/{site}/edge", "/desired-config/sites/{site}/edges", "edge's desired state", "edge"
    ),
    *(
        _Served(
            "Attempt",
            f"/info/{word}/{{site}}/edge/{{edge}}/jobs",
            "/desired-config/sites/{site}/edges/{edge}/attempts",
            "job on an edge",
            "job",
        )
        for word in ("sites", "site")  # the others of Nexus' addresses have the one, these the other
    ),
)


def nexus_routes(backend: Backend) -> list[DirectRoute]:
    nodes = _Nodes(backend)
    return [
        *(made for served in _SERVED for made in nodes.reading(served)),
        *nodes.writing(),
        route(
            "GET",
            f"{PREFIX}/schedular",
            nodes.scheduler,
            summary="Read the scheduler's counters",
            tag=TAG,
            answer="NexusNode",
            problems=READING,
        ),
    ]


class _Nodes:
    """The handlers."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def reading(self, served: _Served) -> list[DirectRoute]:
        async def get(request: Request) -> Response:
            node = await self._backend.node(self._path(request, served))
            (found,) = await self._shown([node])
            if served is _REQUESTS:
                found = shown.job_of(node, (await executions_of(self._backend.store, [node.uid]))[node.uid])
            return json_answer(found)

        async def list_nodes(request: Request) -> Response:
            return await self._list(request, served)

        one = f"{PREFIX}{served.address}/{{{served.name}}}"
        return [
            route(
                "GET",
                f"{PREFIX}{served.address}",
                list_nodes,
                summary=f"List: {served.word}",
                tag=TAG,
                answer="NexusList",
                parameters=PARAMETERS,
                problems=LISTING,
            ),
            route("GET", one, get, summary=f"Read: {served.word}", tag=TAG, answer="NexusNode", problems=LISTING),
        ]

    def writing(self) -> list[DirectRoute]:
        one = f"{PREFIX}{_REQUESTS.address}/{{{_REQUESTS.name}}}"
        return [
            route(
                "PUT",
                one,
                self.put,
                summary="Make a job request, and its group where there is none, or change it",
                tag=TAG,
                body="NexusJobSpec",
                answer="NexusMessage",
                parameters=(UNLESS,),
                problems=WRITING,
            ),
            route(
                "DELETE",
                one,
                self.delete,
                summary="Delete a job request",
                tag=TAG,
                answer="NexusMessage",
                problems=(*READING, HTTPStatus.CONFLICT),
            ),
        ]

    async def put(self, request: Request) -> Response:
        update = request.query_params.get("update_if_exists", "true")
        if update not in ("true", "false"):
            raise Invalid("true or false", field="?update_if_exists")
        path = self._path(request, _REQUESTS)
        given, _ = await read_given(request, shown.NexusJobSpec)
        spec, labels = shown.spec_of(given)
        with naming(shown.PLACES):
            verdict = await self._put(Command("apply" if update == "true" else "create", path, spec, labels))
        node = await self._backend.node_after(verdict)
        created = verdict.outcome == "changed" and verdict.version == node.created_version
        return json_answer(shown.NexusMessage(last_name(path) if created else "Updated successfully"))

    async def delete(self, request: Request) -> Response:
        path = self._path(request, _REQUESTS)
        await self._backend.delete(path)
        return json_answer(shown.NexusMessage("Deleted"))

    async def scheduler(self, request: Request) -> Response:
        del request  # it has nothing to say
        return json_answer(shown.scheduler_of(await self._backend.node(SCHEDULER)))

    async def _put(self, command: Command) -> Verdict:
        """Writes the job, and its group with it where there is none: Nexus' clients make none of their own."""
        group = command.path.rpartition("/jobs/")[0]
        for left in reversed(range(_ROUNDS)):
            missing = await self._backend.reads.node(group) is None
            first = (Command("create", group),) if missing else ()
            try:
                return raise_refused(await self._backend.append((*first, command)))[-1]
            except Conflict:
                if not (left and missing and await self._backend.reads.node(group) is not None):
                    raise
        raise AssertionError("the last round returns or raises")

    async def _list(self, request: Request, served: _Served) -> Response:
        given = request.query_params
        limit = checked_limit(number_of(given["limit"]), "?limit") if "limit" in given else LIMIT_DEFAULT
        under = self._above(request, served)
        with naming({"?cursor": "?continue"}):
            found = await listed(
                self._backend, Asked(Query(served.kind, under, limit=limit), given.get("continue", ""))
            )
        if not found.nodes:
            await self._backend.node_at(under, found.position)
        items = shown.named(found.nodes, await self._shown(found.nodes))
        query = urlencode({"limit": limit, "continue": found.cursor})
        return json_answer(items, headers={"Link": f'<?{query}>; rel="next"'} if found.cursor else {})

    async def _shown(self, nodes: Sequence[Node]) -> list[shown.NexusNode]:
        pools = await self._backend.store.pools([node.path for node in nodes if node.kind == "Edge"])
        makers = {
            "Job": shown.job_of,
            "Edge": lambda edge: shown.edge_of(pools.get(edge.path, Pool())),
            "Attempt": shown.attempt_of,
        }
        return [makers.get(node.kind, shown.bare)(node) for node in nodes]

    def _path(self, request: Request, served: _Served) -> str:
        """The path of the node that the address means. Raises `NotFound` where none can be."""
        return self._located(f"{served.path}/{{{served.name}}}".format(**request.path_params))

    def _above(self, request: Request, served: _Served) -> str:
        """The path of what has the collection that the address means. Raises `NotFound` where none can be."""
        collection = served.path.format(**request.path_params)
        self._located(f"{collection}/any")
        return collection.rpartition("/")[0]

    def _located(self, path: str) -> str:
        try:
            self._backend.model.locate(path)
        except Invalid as error:
            raise NotFound(error.message) from error
        return path
