"""Edges and sites of all places in one list each, what operators ask of edges, and the system's totals."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from datamodel.errors import Invalid, NotFound
from datamodel.kinds import Document
from datamodel.names import check_name
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.scheduling.edges import Edge, Site, place_of
from datamodel.scheduling.resources import CPU, MEMORY, POWER
from datamodel.scheduling.scheduler import SCHEDULER, SchedulerStatus
from datamodel.scheduling.service import OPEN, USE, config_path
from gateway.backend import Backend
from gateway.defaults import completed
from gateway.edges import GRACE_LIMIT_S, INTENTS, SUMMARIES, ask_of_edge
from gateway.rest.answer import json_answer, node_document
from gateway.rest.conditions import IF_MATCH, conditions_of, etag_of, expected_version
from gateway.rest.lists import list_document, listed
from gateway.rest.query import asked_of, list_parameters
from gateway.rest.replay import KEY, once_of
from gateway.rest.route import LISTING, READING, DirectRoute, route

GRACE: Document = {
    "name": "graceS",
    "in": "query",
    "schema": {"type": "integer", "minimum": 0, "maximum": GRACE_LIMIT_S, "default": 0},
    "description": "for how long what runs there may go on",
}


def edge_routes(backend: Backend) -> list[DirectRoute]:
    edges = _Edges(backend)
    return [
        route(
            "GET",
            "/v1/edges",
            edges.list_edges,
            summary="List the edges of all sites, with what is free and used",
            tag="edges",
            answer="EdgeInUseList",
            parameters=list_parameters(Edge),
            problems=LISTING,
        ),
        route(
            "GET",
            "/v1/sites",
            edges.list_sites,
            summary="List the sites",
            tag="edges",
            answer="SiteList",
            parameters=list_parameters(Site),
            problems=LISTING,
        ),
        route(
            "GET",
            "/v1/stats",
            edges.stats,
            summary="Read the system's totals and rates",
            tag="edges",
            answer="SchedulerStatus",
            problems=READING,
        ),
        *(_verb_route(edges, verb) for verb in INTENTS),
    ]


def _verb_route(edges: "_Edges", verb: str) -> DirectRoute:
    async def ask(request: Request) -> Response:
        return await edges.ask(request, verb)

    return route(
        "POST",
        f"/v1/edges/{{site}}/{{edge}}/{verb}",
        ask,
        summary=SUMMARIES[verb],
        tag="edges",
        status=HTTPStatus.ACCEPTED,
        answer="EdgeConfig",
        parameters=(*((GRACE,) if verb == "drain" else ()), IF_MATCH, KEY),
        problems=(
            *READING,
            HTTPStatus.CONFLICT,
            HTTPStatus.PRECONDITION_FAILED,
            HTTPStatus.UNPROCESSABLE_ENTITY,
        ),
    )


class _Edges:
    """The handlers."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def list_edges(self, request: Request) -> Response:
        asked = asked_of(request, Edge)
        found = await listed(self._backend, asked)
        is_present = asked.as_of is None  # of the past, nobody knows what was reserved
        pools = await self._backend.store.pools([edge.path for edge in found.nodes]) if is_present else {}
        places = {edge.path: config_path(*place_of(edge.path)) for edge in found.nodes}
        configs = await self._backend.store.nodes_at(places.values(), found.position)
        items = [
            node_document(self._backend.model, edge)
            | (_capacity(pools.get(edge.path, Pool())) if is_present else {})
            | {"service": _service(configs.get(places[edge.path]))}
            for edge in found.nodes
        ]
        return json_answer(list_document(found, items))

    async def ask(self, request: Request, verb: str) -> Response:
        site, edge = (_name(request, part) for part in ("site", "edge"))
        given = request.query_params
        text = given.get("graceS", "0")
        if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) <= GRACE_LIMIT_S):
            raise Invalid(f"a whole number of seconds, {GRACE_LIMIT_S} at most", field="?graceS")
        once = once_of(self._backend, request)
        version = await expected_version(once, request, config_path(site, edge))
        with conditions_of(request):
            config = await ask_of_edge(
                self._backend,
                site,
                edge,
                verb,
                int(text),
                expected_version=version,
                key=once.key,
                digest=once.digest,
            )
        return json_answer(node_document(self._backend.model, config), HTTPStatus.ACCEPTED, etag_of(config))

    async def list_sites(self, request: Request) -> Response:
        found = await listed(self._backend, asked_of(request, Site))
        return json_answer(list_document(found, [node_document(self._backend.model, site) for site in found.nodes]))

    async def stats(self, request: Request) -> Response:
        del request  # it has nothing to say
        scheduler = await self._backend.node(SCHEDULER)
        return json_answer(completed(SchedulerStatus, scheduler.status))


def _name(request: Request, part: str) -> str:
    """A part of the address. Raises `NotFound` where nothing can have that name."""
    try:
        return check_name(request.path_params[part])
    except Invalid as error:
        raise NotFound(error.message) from error


def _service(config: Node | None) -> Document:
    """What operators ask of an edge, and how far that is."""
    if config is None:
        return {"intent": USE, "phase": OPEN}
    return config.spec | {"phase": config.status.get("phase", OPEN)}


def _capacity(pool: Pool) -> Document:
    """What is used and free of an edge. An edge whose capacity shrank has nothing free, not less than nothing."""
    free = {name: max(0, amount - pool.used.get(name, 0)) for name, amount in pool.capacity.items()}
    return {"used": _resources(pool.used), "free": _resources(free)}


def _resources(amounts: Mapping[str, int]) -> Document:
    """A pool's integers in the units of specs."""
    return {
        "cpu": amounts.get(CPU, 0) / 1000,
        "memoryBytes": amounts.get(MEMORY, 0),
        "powerW": amounts.get(POWER, 0) / 1000,
    }
