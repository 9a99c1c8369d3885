"""Reading given keys of a snapshot: the rows that exist among them, as they were at its position, and nothing else."""

from datamodel.ledger import ALL
from datamodel.ports import Snapshot, Store
from datamodel.rows import Keys, Rows
from tests.graph import JOBS, attempt_path, done, job, new_edge, new_job, place, report

EDGE_PATH = "/inventory/sites/s/edges/e"


async def everything(snapshot: Snapshot) -> Rows:
    return Rows(
        nodes={path: node async for path, node in snapshot.nodes()},
        phases={path: phase async for path, phase in snapshot.phases()},
        links={key: target async for key, target in snapshot.links()},
        facets={key: found async for key, found in snapshot.facets()},
        pools={path: pool async for path, pool in snapshot.pools()},
        entries={key: entry async for key, entry in snapshot.entries()},
        totals={owner: totals async for owner, totals in snapshot.totals()},
    )


async def test_all_keys_are_all_rows(store: Store) -> None:
    await new_edge(store)
    node = await new_job(store, chunks=2)
    await report(store, await place(store, node), phase="succeeded", outputs={"n": 1})
    await report(store, await place(store, node, 1), phase="running", percent=5)
    async with store.snapshot() as snapshot:
        rows = await everything(snapshot)
        keys = Keys(set(rows.nodes), set(rows.pools), set(rows.entries), set(rows.totals))
        assert await snapshot.rows(keys) == rows
        parts = [await snapshot.rows(part) for part in keys.parts(2)]
    assert {path for part in parts for path in part.nodes} == set(rows.nodes)
    assert {owner for part in parts for owner in part.totals} == {node.uid, ALL}
    assert all(len(part.nodes) <= 2 for part in parts)


async def test_a_key_without_a_row_is_absent(store: Store) -> None:
    await new_edge(store)
    node = await new_job(store)
    path = await place(store, node)
    async with store.snapshot() as snapshot:
        keys = Keys({path, f"{JOBS}/none"}, {"/none"}, {(node.uid, 0), (node.uid, 1), ("x", 0)}, {"x"})
        rows = await snapshot.rows(keys)
        nothing = await snapshot.rows(Keys())
    assert (set(rows.nodes), set(rows.phases), rows.links) == ({path}, {path}, {(path, "job"): (node.uid,)})
    assert (rows.pools, set(rows.entries), rows.totals) == ({}, {(node.uid, 0)}, {})
    assert nothing == Rows()


async def test_rows_and_events_are_of_the_snapshots_position(store: Store) -> None:
    await new_edge(store)
    node = await new_job(store)
    async with store.snapshot() as snapshot:
        before = snapshot.head.position
        await place(store, node)
        await done(store, job("later"))
        rows = await snapshot.rows(Keys({attempt_path(node), f"{JOBS}/later"}, {EDGE_PATH}, {(node.uid, 0)}, {ALL}))
        events = [event.position async for event in snapshot.events(after=before - 2)]
    assert (rows.nodes, rows.entries, rows.totals) == ({}, {}, {})
    assert not rows.pools[EDGE_PATH].used
    assert events == [before - 1, before]
