"""What becomes of attempts on an edge that is cut off, and not lost: jobs say for how long they wait for it."""

from datamodel.appender import Appender
from datamodel.command import Actor, Fence
from datamodel.ports import Store
from datamodel.scheduling.giving_up import EDGE_CUT_OFF
from reconcilers.abandoning import alive, give_up
from reconcilers.planning.cutting import overdue


async def replace_overdue(
    store: Store, appender: Appender, edge: str, actor: Actor, fence: Fence, cut_s: float
) -> float | None:
    """Gives up the attempts on an edge (the path of its desired node) that their jobs wait for no longer, after it was cut off
    for `cut_s`; in how many seconds there are more of them, None where there will not be. What they reserve stays reserved
    until their own ends are confirmed."""
    rests: list[float] = []
    async for attempts in alive(store, edge):
        found = overdue(attempts, cut_s)
        await give_up(found.attempts, appender, actor, fence, EDGE_CUT_OFF)
        if found.next_s is not None:
            rests.append(found.next_s)
    return min(rests, default=None)
