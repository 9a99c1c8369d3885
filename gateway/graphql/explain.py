"""Why a job is as it is, in GraphQL: what `GET …/explain` tells."""

from collections.abc import Sequence
from typing import Any

from strawberry.types.field import StrawberryField

from datamodel.errors import NotFound
from datamodel.node import Node
from datamodel.scheduling.answers import EdgesThat
from gateway.explain import explanations
from gateway.explanation import Explanation, FailedChunk, Unheard
from gateway.graphql.context import EXPLAIN_CHARGE, Context
from gateway.graphql.objects import listed, loaded, object_type, plain
from gateway.graphql.scalars import JSON


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
            plain("arrayIndex", int | None, source="array_index"),
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
    return loaded("explain", explanation, _explain, "Why the job is as it is, now.")


async def _explain(context: Context, jobs: Sequence[Node]) -> Sequence[Any]:
    context.charge(EXPLAIN_CHARGE * len(jobs), "explain")
    await context.together()
    found = await context.batch(explanations).get_all([job.path for job in jobs])
    for job, explanation in zip(jobs, found, strict=True):
        if explanation is None:
            raise NotFound(f"{job.path} does not exist", field="/path")
    return found
