"""Whether a start of an agent is believed by its hub, answer by answer."""

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
