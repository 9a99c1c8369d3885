"""From an agent's bytes to the graph: whatever it sends is settled or set aside, and what is settled the store takes."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from hypothesis import example, given
from hypothesis import strategies as st

from datamodel.command import Command, Unit
from datamodel.errors import Invalid
from datamodel.kinds import Document
from datamodel.names import last_name
from datamodel.ports import Store
from datamodel.postgres.store import PostgresStore
from datamodel.prepare import prepare
from datamodel.scheduling import wire
from datamodel.scheduling.attempts import ENDED
from datamodel.scheduling.edges import inventory_path
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from datamodel.verify import verify
from reconcilers.planning.settlement import Settlement, settle
from tests.databases import Databases
from tests.fuzz.budget import budget
from tests.fuzz.documents import anything, encoded, swept
from tests.fuzz.reports import ATTEMPT, attempt_reports, edge_reports
from tests.fuzz.reports import EDGE as EDGE_REPORT
from tests.graph import EDGE, done, edge_spec, memory_store, new_edge, new_job, place
from tests.pair import clean

SLOTS = ("first", "second", "third")
"""Stand for the names of the attempts that there are."""

_bodies = st.lists(anything(attempt_reports(st.sampled_from(SLOTS)) | edge_reports), min_size=1, max_size=4)
_LARGE_LABELS = {**EDGE_REPORT, "labels": {f"{'p' * 200}{number}/n": "v" * 63 for number in range(64)}}
"""Each of the labels is right, and all of them are too large together."""


@dataclass(frozen=True)
class Stores:
    """The real store, another one on its database that has to read all it is asked, and the fake."""

    real: PostgresStore
    reader: PostgresStore
    fake: Store
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)


@pytest_asyncio.fixture(scope="module")
async def stores(databases: Databases) -> AsyncIterator[Stores]:
    url = await databases.create()
    async with PostgresStore(url, MODEL) as real, PostgresStore(url, MODEL) as reader:
        fake = memory_store()
        await seed(fake)
        for store in (real, fake):
            await new_edge(store)
        yield Stores(real, reader, fake)
        await clean(reader)
    await databases.drop(url)


@budget(300)
@given(bodies=_bodies)
@example(bodies=[encoded(_LARGE_LABELS)])
def test_no_report_makes_a_unit_invalid(bodies: list[bytes]) -> None:
    found = settled(bodies)
    prepare(MODEL, Unit(found.commands(), found.actor("s", "e")))


@pytest.mark.parametrize(
    "document", [ATTEMPT, {**ATTEMPT, "phase": "running"}, EDGE_REPORT], ids=["end", "run", "edge"]
)
async def test_any_part_of_a_report_may_be_anything(document: Any) -> None:
    """Each by itself: what is settled must be taken, and an end that can be read must be one."""
    store = memory_store()
    await seed(store)
    await new_edge(store)
    for number, body in enumerate(swept(document)):
        statuses = await taken(store, [body], f"j{number}")
        if is_end(body):
            assert next(iter(statuses.values()))["phase"] in ENDED


def is_end(body: bytes) -> bool:
    try:
        report = wire.decode_report(body)
    except wire.UNREADABLE:
        return False
    own = isinstance(report, wire.AttemptReport) and (report.edge, report.attempt) == ("e", SLOTS[0])
    return own and isinstance(report, wire.AttemptReport) and report.phase in ENDED


@budget(100)
@given(bodies=_bodies)
async def test_what_is_settled_is_never_refused_for_its_shape(bodies: list[bytes]) -> None:
    store = memory_store()
    await seed(store)
    await new_edge(store)
    await taken(store, bodies, "j")
    found = await verify(store)
    assert found.clean, str(found)


@budget(30)
@given(bodies=_bodies)
async def test_what_is_settled_is_stored_as_it_is(stores: Stores, bodies: list[bytes]) -> None:
    """The database holds whatever the fake does: its texts and numbers have limits of their own."""
    name = f"j{next(stores.numbers)}"
    kept = await taken(stores.real, bodies, name)
    found = await stores.reader.nodes(kept)
    assert {path: node.status for path, node in found.items()} == kept
    assert list(kept.values()) == list((await taken(stores.fake, bodies, name)).values())


async def taken(store: Store, bodies: list[bytes], name: str) -> dict[str, Document]:
    """The statuses of the attempts at a new job, once the reports about them are settled."""
    registered = Command("apply", inventory_path("s", "e"), edge_spec(cpu=4096, memoryBytes=2**50, powerW=1e9))
    await done(store, registered, actor=EDGE)  # a report may have left next to nothing of it
    job = await new_job(store, name, chunks=len(SLOTS), requests={"cpu": 0.001, "memoryBytes": 1, "powerW": 0.001})
    paths = [await place(store, job, index) for index in range(len(SLOTS))]
    for slot, path in zip(SLOTS, paths, strict=True):
        bodies = [body.replace(slot.encode(), last_name(path).encode()) for body in bodies]
    found = settled(bodies)
    (outcome,) = await store.append([prepare(MODEL, Unit(found.commands(), found.actor("s", "e"), atomic=False))])
    assert not [verdict.error for verdict in outcome if isinstance(verdict.error, Invalid)]
    nodes = await store.nodes(paths)
    return {path: nodes[path].status for path in paths}


def settled(bodies: list[bytes]) -> Settlement:
    found = settle("s", "e", "1", [msgspec.Raw(body) for body in bodies])
    assert len(found.rejected) + len(found.commands()) <= len(bodies)
    assert all(reason and body in bodies for reason, body in found.rejected)
    return found
