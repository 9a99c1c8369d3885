"""The chunks of a job as the ledger has them: where each is, in which try, and how far."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from datamodel.errors import Invalid
from datamodel.kinds import Document
from datamodel.ledger import Entry
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.scheduling.counts import SHOWN, is_over, shown_phase, stored_phases
from datamodel.scheduling.edges import place_of
from datamodel.scheduling.splitting import CHUNKS_LIMIT, array_index, chunks_of
from gateway.backend import Backend
from gateway.page import LIMIT_DEFAULT, checked_limit
from gateway.rest.answer import json_answer
from gateway.rest.query import number_of
from gateway.rest.route import LIMIT

PARAMETERS: tuple[Document, ...] = (
    {
        "name": "phase",
        "in": "query",
        "schema": {"type": "string", "enum": list(SHOWN)},
        "description": "chunks in this phase only",
    },
    LIMIT,
    {"name": "cursor", "in": "query", "schema": {"type": "string"}, "description": "the `cursor` of the page before"},
)


class ChunkOfJob(msgspec.Struct, frozen=True, rename="camel"):
    """A chunk that was placed at least once. `array_index` is its own in the set that the job names, null where that names
    none. `epoch` is the number of its newest try, `attempt` that try's name at `site` and
    `edge`, `failures` how often it failed, `percent` how far it is. `outputs` is null until it has succeeded with some."""

    index: int
    array_index: int | None
    epoch: int
    phase: str
    site: str
    edge: str
    attempt: str
    failures: int
    percent: float
    outputs: msgspec.Raw | None


async def list_chunks(backend: Backend, job: Node, request: Request) -> Response:
    """The chunks in order of index, and how many were never placed. Raises `Invalid` naming the parameter."""
    given = request.query_params
    limit = checked_limit(number_of(given["limit"]), "?limit") if "limit" in given else LIMIT_DEFAULT
    phase, cursor = given.get("phase"), given.get("cursor", "")
    if phase is not None and phase not in SHOWN:
        raise Invalid(f"a chunk is {', '.join(SHOWN)}", field="?phase")
    if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) <= len(str(CHUNKS_LIMIT))):
        raise Invalid("this is no cursor of a list", field="?cursor")
    over, after = is_over(job, job.phase), int(cursor) if cursor else -1
    phases = stored_phases(phase, over=over) if phase is not None else ()
    found: list[Entry] = []
    if phase is None or phases:
        found = await backend.store.entries(job.uid, phases=phases, after=after, limit=limit + 1)
    totals = await backend.reads.totals(job.uid)
    onward = str(found[limit - 1].index) if len(found) > limit else None
    items = [_shown(entry, job, over=over) for entry in found[:limit]]
    return json_answer({"items": items, "cursor": onward, "pending": max(0, chunks_of(job) - totals.entries)})


def _shown(entry: Entry, job: Node, *, over: bool) -> ChunkOfJob:
    site, edge = place_of(entry.holder)
    return ChunkOfJob(
        index=entry.index,
        array_index=array_index(job, entry.index),
        epoch=entry.epoch,
        phase=shown_phase(entry.phase, over=over),
        site=site,
        edge=edge,
        attempt=last_name(entry.holder),
        failures=entry.failures,
        percent=entry.progress / 10,
        outputs=entry.outputs,
    )
