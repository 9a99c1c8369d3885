"""Query parameters of lists: what is asked for, as a query of the graph."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.requests import Request

from datamodel.errors import Gone, Invalid, TendrilError
from datamodel.facets import selectable_fields
from datamodel.kinds import Document, Kind
from datamodel.moments import Moment, read_moment
from datamodel.plan import Query
from datamodel.selectors import field_selector, label_selector
from datamodel.sorting import CREATED, PATH, VERSION, sort_of
from datamodel.walk import NAME_FIELD
from gateway.page import LIMIT_DEFAULT, checked_limit, has_phase, phases_of, with_phase
from gateway.rest.route import LIMIT

AS_OF: Document = {
    "name": "asOf",
    "in": "query",
    "schema": {"type": "string"},
    "description": "a position of the log or a time (RFC 3339): what was so then",
}
WATCH: Document = {
    "name": "watch",
    "in": "query",
    "schema": {"type": "boolean", "default": False},
    "description": "server-sent events: what there is, and then what changes",
}
LAST_EVENT = "Last-Event-ID"
RESUME: Document = {
    "name": LAST_EVENT,
    "in": "header",
    "schema": {"type": "string"},
    "description": "of a watch: the id of the last event, or the `bookmark` of a list, to be told what has changed since",
}
SEEN: Document = {
    "name": LAST_EVENT,
    "in": "header",
    "schema": {"type": "string"},
    "description": "of server-sent events: the id of the last one, to be told what comes after it",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for: a page of a query, or with `watch` what becomes of all that it finds."""

    query: Query
    cursor: str = ""
    as_of: Moment | None = None
    watch: bool = False


def list_parameters(kind: type[Kind]) -> tuple[Document, ...]:
    """What can be asked of a list of nodes of a kind, as the OpenAPI document says it."""
    fields = ", ".join((*kind.selectable, NAME_FIELD))
    orders = [PATH, CREATED, VERSION, *kind.selectable]
    found: list[Document] = [
        _text("labelSelector", "as in Kubernetes: `a=b,c!=d,e in (f,g),h,!i`"),
        _text("fieldSelector", f"`field=value` or `field!=value`, with commas between; there are {fields}"),
        {**_text("sort", "with a minus before it, backwards"), "schema": {"enum": _both_ways(orders), "default": PATH}},
        LIMIT,
        _text("cursor", "the `cursor` of the page before"),
        AS_OF,
    ]
    if has_phase(kind):
        known = {"enum": list(phases)} if (phases := phases_of(kind)) else {}
        phase = _text("phase", "nodes in this `status.phase`")
        found.append({**phase, "schema": {**phase["schema"], **known}})
    return tuple(found)


def _text(name: str, description: str) -> Document:
    return {"name": name, "in": "query", "schema": {"type": "string"}, "description": description}


def _both_ways(orders: Collection[str]) -> list[str]:
    return [*orders, *(f"-{order}" for order in orders)]


def asked_of(
    request: Request,
    kind: type[Kind],
    *,
    under: str = "",
) -> Asked:
    """What a request asks for of the nodes of a kind below a path (empty: anywhere). Raises `Invalid` naming the parameter."""
    given = request.query_params
    limit, phase = given.get("limit"), given.get("phase", "")
    watch = flag_of(given, "watch")
    for name in ("sort", "cursor", "limit") if watch else ():
        if name in given:
            raise Invalid("a watch tells everything, in no order", field=f"?{name}")
    with naming_parameters():
        fields = field_selector(given.get("fieldSelector", ""), (*kind.selectable, NAME_FIELD))
        for term in fields.requirements if kind.selectable else ():
            if term.key != NAME_FIELD:
                selectable_fields(kind)[term.key].read(term.values[0])
        fields, phases = with_phase(kind, fields, phase, "?phase")
        query = Query(
            kind.__name__,
            under,
            labels=label_selector(given.get("labelSelector", "")),
            fields=fields,
            phases=phases,
            sort=sort_of(given.get("sort", PATH)),
            limit=checked_limit(number_of(limit), "?limit") if limit is not None else LIMIT_DEFAULT,
        )
    return Asked(query, given.get("cursor", ""), moment_of(given, "asOf"), watch)


def flag_of(given: Mapping[str, str], name: str) -> bool:
    """A parameter that is true or false, which it is without being there. Raises `Invalid` naming it."""
    text = given.get(name, "false")
    if text not in ("true", "false"):
        raise Invalid("true or false", field=f"?{name}")
    return text == "true"


def moment_of(given: Mapping[str, str], name: str) -> Moment | None:
    """A parameter that is a moment, None where it is not there. Raises `Invalid` naming it."""
    text = given.get(name)
    if text is None:
        return None
    return read_moment(text.replace(" ", "+"), f"?{name}")  # as a plus comes that nobody has encoded


def number_of(text: str) -> int:
    """A number that people write, 0 for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0


@contextmanager
def naming_parameters() -> Iterator[None]:
    """Makes the errors of a query name the parameters that it was made of."""
    try:
        yield
    except (Invalid, Gone) as error:
        _rename(error)
        raise


def _rename(error: TendrilError) -> None:
    error.field = _parameter(error.field)
    if isinstance(error, Invalid):
        error.details = tuple((_parameter(pointer), message) for pointer, message in error.details)


def _parameter(pointer: str) -> str:
    return f"?{pointer[1:]}" if pointer.startswith("/") else pointer
