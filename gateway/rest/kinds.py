"""The kinds themselves: what each is called and shows, for clients that know none by name; and all nodes of one, wherever
they are."""

from dataclasses import asdict
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from datamodel.errors import Invalid
from datamodel.kinds import Document, Kind
from datamodel.model import Model
from gateway.backend import Backend
from gateway.exposure import is_written_by_users
from gateway.page import phases_of
from gateway.rest.answer import json_answer, node_document
from gateway.rest.lists import answer_list
from gateway.rest.query import RESUME, WATCH, asked_of, list_parameters
from gateway.rest.route import LISTING, DirectRoute, route

URL = "/v1/kinds"
UNDER: Document = {
    "name": "under",
    "in": "query",
    "schema": {"type": "string"},
    "description": "only what is below the node at this path",
}


def kind_routes(backend: Backend) -> list[DirectRoute]:
    told = {"items": [described(backend.model, kind) for kind in backend.model.kinds.values()]}

    async def kinds(request: Request) -> Response:
        del request
        return json_answer(told)

    async def nodes(kind: type[Kind], request: Request) -> Response:
        under = request.query_params.get("under", "")
        if under:
            _check_below(backend.model, under)
        asked = asked_of(request, kind, under=under)
        return await answer_list(backend, request, asked, partial(node_document, backend.model), "?under")

    return [
        route("GET", URL, kinds, summary="List the kinds of nodes", tag="kinds", answer="KindList"),
        *(
            route(
                "GET",
                f"{URL}/{name}/nodes",
                partial(nodes, kind),
                summary=f"List {name}, wherever it is",
                tag=name,
                answer=f"{name}List",
                other_types=("text/event-stream",),
                parameters=(UNDER, *list_parameters(kind), WATCH, RESUME),
                problems=LISTING,
            )
            for name, kind in backend.model.kinds.items()
        ),
    ]


def _check_below(model: Model, under: str) -> None:
    try:
        model.locate(under)
    except Invalid as error:
        raise Invalid(error.message, field="?under") from error


def described(model: Model, kind: type[Kind]) -> Document:
    """A kind as clients are told of it."""
    phases = kind.phases
    known = sorted(phases.allowed.keys() | set().union(*phases.allowed.values())) if phases else phases_of(kind)
    return {
        "kind": kind.__name__,
        "singular": singular_of(kind),
        "plural": plural_of(model, kind),
        "description": kind.__doc__ or "",
        "path": path_template(model, kind),
        "defaults": {singular_of(above): name for above in _line(kind) if (name := _default_name(model, above))},
        "singleton": kind.singleton,
        "writable": is_written_by_users(kind),
        "selectable": list(kind.selectable),
        "phases": known,
        "finished": sorted(phases.finished) if phases else [],
        "columns": [asdict(column) for column in kind.columns],
    }


def singular_of(kind: type[Kind]) -> str:
    """The kind's name as words with hyphens: `job-group`."""
    name = kind.__name__
    return "".join(
        f"-{letter.lower()}" if letter.isupper() and place and not name[place - 1].isupper() else letter.lower()
        for place, letter in enumerate(name)
    )


def plural_of(model: Model, kind: type[Kind]) -> str:
    """The collection's name. Where several kinds have it, it is that of the one with the shortest name, and the others'
    have before it what comes first in theirs: `edges` and `desired-edges`."""
    if kind.singleton:
        return singular_of(kind)
    same = [other for other in model.kinds.values() if other.segment == kind.segment and not other.singleton]
    first = min(same, key=lambda other: (len(other.__name__), other.__name__))
    if kind is first:
        return kind.segment
    begin = singular_of(kind).removesuffix(singular_of(first))
    return f"{begin}{kind.segment}" if begin.endswith("-") else f"{singular_of(kind)}s"


def path_template(model: Model, kind: type[Kind]) -> str:
    """Where nodes of the kind are, with the kinds whose names stand in the path: `/garden/beds/{bed}/flowers/{flower}`."""
    names = (f"{{{singular_of(above)}}}" for above in _line(kind) if not above.singleton)
    return model.collection(kind).format(*names)


def _line(kind: type[Kind]) -> list[type[Kind]]:
    """The kind and all above it, from the root down."""
    return [*(_line(kind.parent) if kind.parent is not None else []), kind]


def _default_name(model: Model, kind: type[Kind]) -> str:
    """The name of the only node of a kind that is there from the first start on, empty where there is none or several."""
    names = [seed.path.rpartition("/")[2] for seed in model.seeds if model.locate(seed.path)[0] is kind]
    return names[0] if len(names) == 1 and not kind.singleton else ""


def add_kind_schemas(schemas: Document) -> None:
    """Adds to the schemas of the OpenAPI document what the list of kinds is made of."""
    text: Document = {"type": "string"}
    texts: Document = {"type": "array", "items": text}
    column: Document = {"name": text, "path": text, "format": text}
    properties: Document = {
        "kind": text,
        "singular": {**text, "description": "as people say it: `job-group`"},
        "plural": {**text, "description": "no two kinds have the same"},
        "description": text,
        "path": {**text, "description": "with the singulars whose names stand in it: `/garden/beds/{bed}`"},
        "defaults": {
            "type": "object",
            "additionalProperties": text,
            "description": "by singular, the name that is meant where none is given",
        },
        "singleton": {"type": "boolean"},
        "writable": {"type": "boolean", "description": "whether users write the spec"},
        "selectable": {**texts, "description": "fields that lists select and sort by"},
        "phases": texts,
        "finished": {**texts, "description": "phases in which nothing more happens by itself"},
        "columns": {"type": "array", "items": {"type": "object", "properties": column}},
    }
    kind: Document = {"type": "object", "properties": properties, "required": list(properties)}
    schemas["KindList"] = {"type": "object", "properties": {"items": {"type": "array", "items": kind}}}
