"""What is written of facets follows from what changed of them."""

from datetime import UTC, datetime

from datamodel.admission import Guards
from datamodel.command import Command
from datamodel.kinds import Document
from datamodel.memory import MemoryStore
from datamodel.postgres.writes import row_writes
from datamodel.rulebook import admit
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from tests.graph import EDGE, JOBS, SYSTEM, USER, attempt, counted_ids, done, job, memory_store, new_edge, new_job, unit

PATH = f"{JOBS}/j"


async def statements(store: MemoryStore, command: Command, actor: object = USER) -> set[str]:
    """The statements on facets of one command's writes."""
    now = datetime.now(UTC)
    sent = unit(command, actor=actor)  # type: ignore[arg-type]
    admission = admit(MODEL, store.state, Guards(), [sent], (await store.head()).position, now, counted_ids())
    assert admission.events, "something changed"
    writes = row_writes(MODEL, store.state, admission, now)
    return {name for name in ("put_facets", "drop_facets", "delete_facets") if writes[name][0]}


def status(**fields: Document | str | float) -> Command:
    return Command("patchStatus", PATH, fields)


async def test_only_what_changed_of_a_nodes_facets_is_written() -> None:
    store = memory_store()
    await seed(store)
    assert await statements(store, job()) == {"put_facets"}
    assert await statements(store, status(percentCompleted=1.0), SYSTEM) == set()
    assert await statements(store, status(phase="running"), SYSTEM) == {"put_facets"}
    assert await statements(store, status(percentCompleted=2.0), SYSTEM) == set()
    assert await statements(store, Command("patchSpec", PATH, {"retries": 3})) == set()
    assert await statements(store, Command("patchSpec", PATH, {}, labels={"a": "b", "c": "d"})) == {"put_facets"}
    assert await statements(store, Command("patchSpec", PATH, {}, labels={"a": "b"})) == {"drop_facets"}
    assert await statements(store, Command("delete", PATH)) == set()
    assert await statements(store, Command("finalize", PATH, {"finalizer": "attempts"}), SYSTEM) == {"delete_facets"}


async def test_what_has_no_facets_writes_none() -> None:
    store = memory_store()
    await seed(store)
    await new_edge(store)
    wanted = attempt(await new_job(store))
    assert await statements(store, wanted, SYSTEM) == set()
    assert await statements(store, Command("patchStatus", wanted.path, {"phase": "succeeded"}), EDGE) == set()
    await done(store, job("k"))
    assert await statements(store, Command("delete", wanted.path), SYSTEM) == set()
