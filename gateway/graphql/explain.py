"""Why a job is as it is, in GraphQL: what `GET …/explain` tells."""

from typing import Any

from strawberry.types.field import StrawberryField

from datamodel.node import Node
from datamodel.scheduling.answers import EdgesThat
from gateway.explain import explained
from gateway.explanation import Explanation, FailedChunk, Unheard
from gateway.graphql.context import Info
from gateway.graphql.objects import listed, object_type, plain, resolved
from gateway.graphql.scalars import JSON

CHARGE = 1_000
"""What an explanation counts in the request's budget of nodes: it looks at all edges."""


def explain_field() -> StrawberryField:
    """The explanation of a job."""
    edges = object_type(
        "EdgesThat",
        [*(plain(name, str) for name in ("reason", "message", "example")), plain("edges", int)],
        EdgesThat.__doc__,
    )
    failed = object_type(
        "FailedChunk",
        [
            *(plain(name, str) for name in ("site", "edge", "reason", "message")),
            *(plain(name, int) for name in ("index", "failures")),
            plain("goesOn", bool, source="goes_on"),
            plain("exitCodes", list[int], source="exit_codes"),
            plain("againAt", str, source="again_at"),
        ],
        FailedChunk.__doc__,
    )
    unheard = object_type(
        "Unheard",
        [*(plain(name, str) for name in ("site", "edge", "phase", "since")), plain("chunks", int)],
        Unheard.__doc__,
    )
    explanation = object_type(
        "Explanation",
        [
            *(plain(name, str) for name in ("phase", "intent", "summary")),
            plain("chunks", JSON),
            plain("edges", listed(edges)),
            plain("failures", listed(failed)),
            plain("unheard", listed(unheard)),
        ],
        Explanation.__doc__,
    )

    async def explain(root: Node, info: Info) -> Any:
        info.context.charge(CHARGE)
        return await explained(info.context.backend, root.path)

    return resolved("explain", explanation, explain, "Why the job is as it is, now.")
