"""Query parameters of lists."""

from collections.abc import Collection

from starlette.requests import Request

from datamodel.errors import Invalid
from datamodel.kinds import Kind
from gateway.page import LIMIT_DEFAULT, Page, after_cursor, checked_limit, stored_phases

PAGING = frozenset({"limit", "cursor", "phase"})


def page_of(
    request: Request, kind: type[Kind], *, others: Collection[str] = (), limit_default: int = LIMIT_DEFAULT
) -> Page:
    """The page that a request asks for. Raises `Invalid` naming the parameter, also for one that nobody declared."""
    parameters = request.query_params
    for name in parameters:
        if name not in PAGING and name not in others:
            raise Invalid("there is no such parameter", field=f"?{name[:80]}")
    limit, cursor, phase = parameters.get("limit"), parameters.get("cursor"), parameters.get("phase")
    return Page(
        limit=checked_limit(_number(limit), "?limit") if limit is not None else limit_default,
        after=after_cursor(cursor, "?cursor") if cursor else "",
        phases=stored_phases(kind, phase, "?phase") if phase else (),
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0
