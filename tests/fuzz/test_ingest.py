"""ingest: no window stops it, and what it has told to be committed it has taken in once."""

from typing import Any, cast

from hypothesis import example, given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.aio.msg import Msg

from datamodel.appender import Appender
from datamodel.command import Fence
from datamodel.feed.bus import Bus
from datamodel.memory import MemoryStore
from datamodel.names import last_name
from datamodel.scheduling import wire
from datamodel.seeds import seed
from reconcilers.ingest import Ingest
from reconcilers.runtime.metrics import Metrics
from tests.fuzz.budget import budget
from tests.fuzz.documents import anything, encoded, swept
from tests.fuzz.reports import EDGE, WINDOW, attempt_reports, edge_reports, windows
from tests.graph import memory_store, new_edge, new_job, place

_windows = windows(attempt_reports(st.just("slot")) | edge_reports)
_sent = st.lists(_windows.map(encoded) | anything(_windows), min_size=1, max_size=6)


class Wire:
    """A connection to NATS on which the test sends, and whose answers it keeps."""

    def __init__(self) -> None:
        self.receive: Any = None
        self.told: list[wire.Committed] = []

    async def subscribe(self, subject: str, *, queue: str, cb: Any) -> None:
        assert (subject, queue) == ("report.*.*", "")
        self.receive = cb

    async def publish(self, subject: str, payload: bytes) -> None:
        assert subject == wire.committed_subject("s", "e")
        self.told.append(wire.decode_committed(payload))

    async def send(self, body: bytes) -> None:
        await self.receive(Msg(cast("Client", self), wire.report_subject("s", "e"), data=body))


@budget(120)
@given(bodies=_sent)
@example(bodies=[encoded({**WINDOW, "incarnation": "-"})])
async def test_every_window_is_taken_in_once_or_set_aside(bodies: list[bytes]) -> None:
    store = await prepared()
    attempt = next(path for path in store.state.nodes if "/attempts/" in path)
    bodies = [body.replace(b"slot", last_name(attempt).encode()) for body in bodies]
    names = sorted({f"s/e/{window.incarnation}" for body in bodies if (window := believed(body)) is not None})
    connection = Wire()
    async with Appender(store) as appender:
        ingest = Ingest(store, appender, Bus(cast("Client", connection), []), Metrics())
        await ingest.listen(lambda _: True)
        fence = Fence("ingest/0", (await store.acquire(["ingest/0"], "me", 600.0))["ingest/0"])
        marks: dict[str, int] = {}
        for body in bodies:
            await connection.send(body)
            await ingest.reconcile("s/e", fence)
            after = await store.marks(names)
            if believed(body) is None:
                assert after == marks
            assert all(marks.get(mark, 0) <= through for mark, through in after.items())
            marks = after
        for committed in connection.told:
            assert committed.through <= marks.get(f"s/e/{committed.incarnation}", 0)
        position = (await store.head()).position
        for body in bodies:  # all of it comes again: nothing that was taken in is taken in twice
            await connection.send(body)
        await ingest.reconcile("s/e", fence)
        if await store.marks(names) == marks:
            assert (await store.head()).position == position


def believed(body: bytes) -> wire.Window | None:
    """The window, where bytes are one that the agent `e` of site `s` may send."""
    try:
        window = wire.decode_window(body)
    except wire.UNREADABLE:
        return None
    own = (window.version, window.site, window.agent) == (wire.WIRE_VERSION, "s", "e") and window.first >= 1
    return window if own else None


async def test_any_part_of_a_window_may_be_anything() -> None:
    """Each by itself, as what its agent sends first."""
    for body in swept({**WINDOW, "reports": [EDGE]}):
        store = memory_store()
        await seed(store)
        connection = Wire()
        async with Appender(store) as appender:
            ingest = Ingest(store, appender, Bus(cast("Client", connection), []), Metrics())
            await ingest.listen(lambda _: True)
            fence = Fence("ingest/0", (await store.acquire(["ingest/0"], "me", 600.0))["ingest/0"])
            await connection.send(body)
            await ingest.reconcile("s/e", fence)
        if believed(body) is None:
            assert connection.told == []
            assert await store.quarantined() == 1


async def prepared() -> MemoryStore:
    store = memory_store()
    await seed(store)
    await new_edge(store)
    await place(store, await new_job(store))
    return store
