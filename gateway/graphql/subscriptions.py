"""Subscriptions: what there is of a kind, and then each change, as REST's watches tell them."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from inspect import Parameter, Signature
from typing import Any

import strawberry
from strawberry.types.field import StrawberryField

from datamodel.kinds import Kind
from datamodel.moments import read_moment
from datamodel.watching import Seen
from gateway.graphql.connection import check_path, naming_arguments
from gateway.graphql.context import Info
from gateway.graphql.objects import object_type, plain
from gateway.graphql.scalars import Long, Moment
from gateway.graphql.selection import Selection
from gateway.page import LIMIT_MAX, has_phase
from gateway.watches import watch_from, watched

_WHAT = "`added`, `modified`, `deleted` with the last state, or `bookmark`: all that changed up to there has been told."
_DESCRIBED = """What there is, and then what changes; with the `bookmark` of before as `after`, or from a moment on, the changes
alone."""


def subscription(name: str, kind: type[Kind], node_type: Any, selection: Selection) -> StrawberryField:
    """What becomes of the nodes of a kind."""
    seen = object_type(
        f"{kind.__name__}Seen",
        [
            plain("what", str, _WHAT),
            plain("node", node_type | None),
            plain("bookmark", str | None),
            plain("position", Long | None),
        ],
        f"What is seen of {kind.__name__} nodes.",
    )
    made: StrawberryField = strawberry.subscription(
        resolver=_resolver(kind, selection), name=name, graphql_type=seen, description=_DESCRIBED
    )
    made.python_name = name
    return made


def _resolver(kind: type[Kind], selection: Selection) -> Any:
    types = {"under": str, "where": selection.where, "after": str, "as_of": Moment}
    if has_phase(kind):
        types["phase"] = str

    async def resolver(info: Info, **given: Any) -> AsyncGenerator[Any, None]:
        backend, under, as_of = info.context.backend, given.get("under"), given.get("as_of")
        query = selection.query(LIMIT_MAX, given.get("where"), None, given.get("phase"))
        if under is not None:
            check_path(backend.model, under, "/under")
            query = replace(query, under=under)
        moment = read_moment(as_of, "/asOf") if as_of is not None else None
        with naming_arguments("/under"):
            after = await watch_from(backend, query, given.get("after") or "", moment, "/after")
        async with aclosing(watched(backend, query, after)) as changes:
            async for change in changes:
                info.context.begin()
                if isinstance(change, Seen):
                    yield {"what": change.what, "node": change.node, "bookmark": None, "position": None}
                else:
                    yield {"what": "bookmark", "node": None, "bookmark": change.text, "position": change.position}

    resolver.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Parameter("info", Parameter.POSITIONAL_OR_KEYWORD, annotation=Info),
            *(
                Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=type_ | None)
                for name, type_ in types.items()
            ),
        ]
    )
    return resolver
