"""Giving up what runs on an edge: its chunks go elsewhere, at no cost of a retry."""

from collections.abc import Collection

from datamodel.appender import Appender
from datamodel.command import Actor, Command, Fence, Unit, raise_refused
from datamodel.ports import Store
from datamodel.scheduling.attempts import ABANDON
from datamodel.scheduling.jobs import PENDING, RUNNING

PAGE = 500
ALIVE = ("", PENDING, RUNNING)
"""Phases of attempts that have not ended."""


async def abandon(
    store: Store, appender: Appender, edge: str, actor: Actor, fence: Fence, intents: Collection[str]
) -> None:
    """Abandons the attempts on an edge (the path of its desired node) that are to do something of `intents`. What they reserve
    stays reserved until their own ends are confirmed."""
    after = ""
    while attempts := await store.list_nodes("Attempt", under=edge, after=after, limit=PAGE, phases=ALIVE):
        after = attempts[-1].path
        commands = tuple(
            Command("patchSpec", attempt.path, {"intent": ABANDON}, expected_version=attempt.version)
            for attempt in attempts
            if attempt.spec["intent"] in intents
        )
        if commands:
            raise_refused(await appender.append(Unit(commands, actor, atomic=False, fence=fence)))
