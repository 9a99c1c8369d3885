"""Giving up what runs on an edge: its chunks go elsewhere, at no cost of a retry."""

from collections.abc import AsyncIterator, Collection, Iterable

from datamodel.appender import Appender
from datamodel.command import Actor, Command, Fence, Unit, raise_refused
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.scheduling.attempts import ABANDON
from datamodel.scheduling.giving_up import IntentReason
from datamodel.scheduling.jobs import PENDING, RUNNING

PAGE = 500
ALIVE = ("", PENDING, RUNNING)
"""Phases of attempts that have not ended."""


async def abandon(
    store: Store,
    appender: Appender,
    edge: str,
    actor: Actor,
    fence: Fence,
    intents: Collection[str],
    reason: IntentReason,
) -> None:
    """Abandons the attempts on an edge (the path of its desired node) that are to do something of `intents`. What they reserve
    stays reserved until their own ends are confirmed."""
    async for attempts in alive(store, edge):
        await give_up((one for one in attempts if one.spec["intent"] in intents), appender, actor, fence, reason)


async def alive(store: Store, edge: str) -> AsyncIterator[list[Node]]:
    """The attempts on an edge that have not ended, some at a time."""
    after = ""
    while attempts := await store.list_nodes("Attempt", under=edge, after=after, limit=PAGE, phases=ALIVE):
        yield attempts
        after = attempts[-1].path


async def give_up(
    attempts: Iterable[Node],
    appender: Appender,
    actor: Actor,
    fence: Fence,
    reason: IntentReason,
    *,
    atomic: bool = False,
) -> None:
    """Abandons these, as they are. `atomic`: all or none, where it matters which of them go."""
    body = {"intent": ABANDON, "intentReason": reason}
    commands = tuple(Command("patchSpec", one.path, body, expected_version=one.version) for one in attempts)
    if commands:
        raise_refused(await appender.append(Unit(commands, actor, atomic=atomic, fence=fence)))
