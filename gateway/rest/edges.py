"""Edges and sites of all places in one list each, what operators ask of edges, and the system's totals."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import TypedDict

from starlette.requests import Request
from starlette.responses import Response

from datamodel.errors import Invalid, NotFound
from datamodel.kinds import Document
from datamodel.names import check_name
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.scheduling.edges import Edge, Site, desired_path, inventory_path, place_of
from datamodel.scheduling.resources import CPU, MEMORY, POWER
from datamodel.scheduling.scheduler import SCHEDULER, SchedulerStatus
from datamodel.scheduling.service import OPEN, USE, config_path
from datamodel.scheduling.words import REASON_LIMIT
from gateway.adoption import SUMMARY, adopt
from gateway.backend import Backend
from gateway.defaults import completed
from gateway.edges import GRACE_LIMIT_S, INTENTS, SUMMARIES, ask_of_edge
from gateway.rest.answer import json_answer, node_document
from gateway.rest.conditions import IF_MATCH, conditions_of, etag_of, expected_version
from gateway.rest.lists import list_document, listed
from gateway.rest.query import asked_of, list_parameters
from gateway.rest.replay import KEY, once_of
from gateway.rest.route import LISTING, READING, DirectRoute, route
from gateway.words import WORDS, say_of_edge

GRACE: Document = {
    "name": "graceS",
    "in": "query",
    "schema": {"type": "integer", "minimum": 0, "maximum": GRACE_LIMIT_S, "default": 0},
    "description": "for how long what runs there may go on",
}


REASON: Document = {
    "name": "reason",
    "in": "query",
    "schema": {"type": "string", "maxLength": REASON_LIMIT, "default": ""},
    "description": "how it is known, for the record",
}
ASKING = (*READING, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED, HTTPStatus.UNPROCESSABLE_ENTITY)
"""Problems of what is asked of an edge."""


class Guards(TypedDict):
    """How a request says that it is to be done once, and at which version."""

    expected_version: int | None
    key: str
    digest: str


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
            "/v1/edges/{site}/{edge}",
            edges.edge,
            summary="Read an edge, with what is free and used",
            tag="edges",
            answer="EdgeInUse",
            problems=READING,
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
        *(_word_route(edges, says) for says in WORDS),
        route(
            "POST",
            "/v1/edges/{site}/{edge}/attempts/{attempt}/adopt",
            edges.adopt,
            summary=SUMMARY,
            tag="edges",
            status=HTTPStatus.ACCEPTED,
            answer="Attempt",
            parameters=(IF_MATCH, KEY),
            problems=ASKING,
        ),
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
        problems=ASKING,
    )


def _word_route(edges: "_Edges", says: str) -> DirectRoute:
    async def say(request: Request) -> Response:
        return await edges.say(request, says)

    return route(
        "POST",
        f"/v1/edges/{{site}}/{{edge}}/{says}",
        say,
        summary=WORDS[says],
        tag="edges",
        status=HTTPStatus.ACCEPTED,
        answer="EdgeConfig",
        parameters=(REASON, IF_MATCH, KEY),
        problems=ASKING,
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
            self._in_use(edge, pools.get(edge.path, Pool()) if is_present else None, configs.get(places[edge.path]))
            for edge in found.nodes
        ]
        return json_answer(list_document(found, items))

    async def edge(self, request: Request) -> Response:
        place = _name(request, "site"), _name(request, "edge")
        edge = await self._backend.node(inventory_path(*place))
        pools = await self._backend.store.pools([edge.path])
        config = await self._backend.reads.node(config_path(*place))
        return json_answer(self._in_use(edge, pools.get(edge.path, Pool()), config))

    def _in_use(self, edge: Node, pool: Pool | None, config: Node | None) -> Document:
        capacity = _capacity(pool) if pool is not None else {}
        return node_document(self._backend.model, edge) | capacity | {"service": _service(config)}

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

    async def say(self, request: Request, says: str) -> Response:
        site, edge = (_name(request, part) for part in ("site", "edge"))
        reason = request.query_params.get("reason", "")
        if len(reason) > REASON_LIMIT:
            raise Invalid(f"it has at most {REASON_LIMIT} characters", field="?reason")
        once = once_of(self._backend, request)
        version = await expected_version(once, request, config_path(site, edge))
        guards: Guards = {"expected_version": version, "key": once.key, "digest": once.digest}
        with conditions_of(request):
            config = await say_of_edge(self._backend, site, edge, says, reason, **guards)
        return json_answer(node_document(self._backend.model, config), HTTPStatus.ACCEPTED, etag_of(config))

    async def adopt(self, request: Request) -> Response:
        site, edge, name = (_name(request, part) for part in ("site", "edge", "attempt"))
        once = once_of(self._backend, request)
        version = await expected_version(once, request, f"{desired_path(site, edge)}/attempts/{name}")
        guards: Guards = {"expected_version": version, "key": once.key, "digest": once.digest}
        with conditions_of(request):
            attempt = await adopt(self._backend, site, edge, name, **guards)
        return json_answer(node_document(self._backend.model, attempt), HTTPStatus.ACCEPTED, etag_of(attempt))

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
