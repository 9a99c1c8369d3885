"""Why a job is as it is, in GraphQL: what `GET …/explain` tells."""

from collections.abc import Collection
from typing import Any

from strawberry.types.field import StrawberryField

from datamodel.errors import NotFound
from datamodel.moments import read_moment
from datamodel.scheduling.answers import EdgesThat
from datamodel.scheduling.changing import Change
from datamodel.scheduling.queueing import Ahead
from datamodel.scheduling.starting import Start
from gateway.backend import Backend
from gateway.explain import explanations, explanations_at
from gateway.explanation import Explanation, FailedChunk, PlacedChunk, Unheard
from gateway.graphql.context import EXPLAIN_CHARGE, EXPLAIN_THEN_CHARGE, Context, Info
from gateway.graphql.objects import listed, object_type, plain, resolved
from gateway.graphql.scalars import JSON, Moment


def explain_field() -> StrawberryField:
    """The explanation of a job."""
    edges = object_type(
        "EdgesThat",
        [*(plain(name, str) for name in ("reason", "message", "example", "resource")), plain("edges", int)],
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
    placed = object_type(
        "PlacedChunk",
        [*(plain(name, str) for name in ("site", "edge", "since", "why")), plain("index", int)],
        PlacedChunk.__doc__,
    )
    ahead = object_type(
        "Ahead",
        [
            plain("groupJobs", int, source="group_jobs"),
            plain("groupChunks", int, source="group_chunks"),
            *(plain(name, int) for name in ("jobs", "chunks")),
            plain("atLeast", bool, source="at_least"),
        ],
        Ahead.__doc__,
    )
    change = object_type("Change", [plain(name, str) for name in ("what", "message", "edge")], Change.__doc__)
    start = object_type("Start", [plain(name, str) for name in ("at", "basis")], Start.__doc__)
    explanation = object_type(
        "Explanation",
        [
            *(plain(name, str) for name in ("phase", "intent", "summary", "reason")),
            plain("chunks", JSON),
            plain("edges", listed(edges)),
            plain("failures", listed(failed)),
            plain("unheard", listed(unheard)),
            plain("queue", ahead | None),
            plain("changes", listed(change)),
            plain("start", start | None),
            plain("placed", listed(placed)),
        ],
        Explanation.__doc__,
    )
    return resolved("explain", explanation, _explain, "Why the job is as it is, or with `asOf` was then.")


async def _explain(root: Any, info: Info, as_of: Moment | None = None) -> Any:
    context: Context = info.context
    context.charge(EXPLAIN_CHARGE if as_of is None else EXPLAIN_THEN_CHARGE, "explain")
    await context.together()
    if as_of is None:
        found = await context.batch(explanations).get(root.path)
    else:
        found = await context.batch(_then).get(f"{as_of} {root.path}")
    if found is None:
        raise NotFound(f"{root.path} does not exist{'' if as_of is None else ' then'}", field="/path")
    return found


async def _then(backend: Backend, asked: Collection[str]) -> dict[str, Explanation]:
    """By moment and path. Raises what is wrong with a moment."""
    split = {key: key.rpartition(" ") for key in asked}
    moments = {text: read_moment(text, "/asOf") for text, _, _ in split.values()}
    found = await explanations_at(backend, [(moments[text], path) for text, _, path in split.values()])
    keys = {key: (moments[text], path) for key, (text, _, path) in split.items()}
    return {key: found[one] for key, one in keys.items() if one in found}
