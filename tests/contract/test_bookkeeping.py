"""What is stored beside the log."""

from datamodel.command import Command
from datamodel.ports import Store
from tests.graph import SYSTEM, done, new_edge, new_job, place, report


async def test_the_epoch_is_what_was_set_last(store: Store) -> None:
    assert await store.epoch() == 0
    await store.set_epoch(3)
    assert await store.epoch() == 3


async def test_what_is_quarantined_is_counted_whatever_it_holds(store: Store) -> None:
    await store.quarantine("edge\x00", "no \x00 JSON", b"\x00\xff" * 100_000)
    await store.quarantine("edge", "", b"")
    assert await store.quarantined() == 2


async def test_a_sweep_removes_the_entries_of_owners_that_are_gone(store: Store) -> None:
    await new_edge(store)
    kept, gone = await new_job(store, "kept"), await new_job(store, "gone", chunks=3)
    for owner, index in ((kept, 0), (gone, 0), (gone, 1), (gone, 2)):
        await report(store, await place(store, owner, index), phase="succeeded")
    assert await store.sweep(100) == 0
    await done(store, Command("delete", gone.path))
    await done(store, Command("finalize", gone.path, {"finalizer": "attempts"}), actor=SYSTEM)
    assert await store.sweep(2) == 2
    assert await store.sweep(2) == 1
    assert await store.sweep(2) == 0
    assert await store.entries(gone.uid) == []
    assert len(await store.entries(kept.uid)) == 1
