"""Whether a start of an agent is believed by its hub, answer by answer."""

import json
import math
from datetime import UTC, datetime

import msgspec

from agents.memory_journal import Disk, MemoryJournal
from agents.outbox import Outbox
from agents.session import Session
from datamodel.scheduling import windows, wire


def answered(outbox: Outbox, boot: int) -> wire.Committed:
    return wire.Committed(outbox.incarnation, 0, gap=False, speaks=windows.SPEAKS, boot=boot)


async def test_a_start_that_the_hub_does_not_know_any_more_is_told_again() -> None:
    async with Outbox(MemoryJournal(Disk())) as outbox:
        session = Session(outbox)
        session.hear(answered(outbox, 0))
        await session.prepare()
        assert session.hear(answered(outbox, session.boot))
        assert session.believed

        former = session.boot
        assert not session.hear(answered(outbox, former - 1)), "its database was put back"
        assert not session.believed
        await session.prepare()
        told = session.window("s", "e", 1, [])
        assert isinstance(told, windows.Window)
        assert (told.boot, told.after) == (former, former - 1)
        assert session.hear(answered(outbox, former))
        assert session.believed
        assert not session.fenced


async def test_a_start_that_was_believed_is_fenced_by_another_one_also_where_the_hub_has_forgotten_it() -> None:
    async with Outbox(MemoryJournal(Disk())) as outbox:
        session = Session(outbox)
        session.hear(answered(outbox, 0))
        await session.prepare()
        assert session.hear(answered(outbox, session.boot))
        assert not session.hear(answered(outbox, session.boot - 1)), "its database was put back"
        assert not session.hear(answered(outbox, session.boot + 1)), "and another one was quicker"
        assert session.fenced


async def test_how_long_it_has_been_the_only_one_that_is_believed() -> None:
    now_s = [100.0]
    disk = Disk()
    async with Outbox(MemoryJournal(disk)) as outbox:
        first = Session(outbox, clock=lambda: now_s[0])
        first.hear(answered(outbox, 0))
        await first.prepare()
        assert first.believed_for_s == 0.0
        first.hear(answered(outbox, first.boot))
        assert first.believed_for_s == math.inf, "there was none before"
    async with Outbox(MemoryJournal(disk)) as outbox:
        second = Session(outbox, clock=lambda: now_s[0])
        second.hear(answered(outbox, first.boot))
        await second.prepare()
        second.hear(answered(outbox, second.boot))
        assert second.believed_for_s == 0.0
        now_s[0] += 7.0
        second.hear(answered(outbox, second.boot))
        assert second.believed_for_s == 7.0


async def test_an_older_hub_is_told_of_an_edge_what_it_can_read() -> None:
    report = wire.EdgeReport("e", datetime(2030, 1, 1, tzinfo=UTC), 1.0, 1, 1.0, "process", "1", guards=True)
    body = msgspec.Raw(wire.encode(report))
    async with Outbox(MemoryJournal(Disk())) as outbox:
        session = Session(outbox)
        session.hear(wire.Committed(outbox.incarnation, 0))
        (told,) = session.window("s", "e", 1, [body]).reports
        assert "guards" not in json.loads(bytes(told))
        session.hear(answered(outbox, 0))
        await session.prepare()
        session.hear(answered(outbox, session.boot))
        (told,) = session.window("s", "e", 1, [body]).reports
        assert json.loads(bytes(told))["guards"] is True
