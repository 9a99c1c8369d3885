"""Keeping operators' words: an edge that is said to be lost is, and what ran on a host that is off has ended."""

from datetime import datetime

from datamodel.appender import Appender
from datamodel.command import Actor, Command, Fence, Unit, raise_refused
from datamodel.errors import Conflict, NotFound
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.scheduling.attempts import ABANDONED, HOST_OFF
from datamodel.scheduling.edges import place_of
from datamodel.scheduling.planes import EDGE
from datamodel.scheduling.words import Word
from reconcilers.abandoning import alive


def told(word: Word) -> str:
    """Of an operator's word, in a sentence."""
    what = "it is lost" if word.says == "lost" else "its host is off"
    return f"an operator says that {what}" + (f": {word.reason}" if word.reason else "")


async def end_all(
    store: Store, appender: Appender, edge: str, actor: Actor, fence: Fence, word: Word, now: datetime
) -> None:
    """Takes an operator's word for the ends of the attempts on an edge (the path of its desired node) that were there when it
    was said: they hold nothing any more. It is written in the name of the edge, which is not there to do it; what that tells
    of them, should it come back after all, is settled as ever."""
    site, name = place_of(edge)
    named = Actor(actor.name, EDGE, frozenset({f"/sites/{site}/edges/{name}"}))
    body = {"phase": ABANDONED, "reason": HOST_OFF, "message": told(word), "finishedAt": now.isoformat()}
    async for attempts in alive(store, edge):
        ends = tuple(
            Command("patchStatus", one.path, body, expected_version=one.version)
            for one in attempts
            if one.created_version <= word.position
        )
        if ends:
            raise_refused(await appender.append(Unit(ends, named, atomic=False, fence=fence)))


async def have_kept(appender: Appender, config: Node, actor: Actor, fence: Fence, word: Word) -> None:
    """Remembers it, so that it says nothing of an edge that comes back, and goes once more."""
    kept = Command("patchStatus", config.path, {"word": word.position})
    await appender.write(Unit((kept,), actor, fence=fence))


async def leave(store: Store, appender: Appender, desired: Node | None, actor: Actor, fence: Fence) -> None:
    """Removes the place of an edge that was deleted, unless attempts are kept there: they go with their jobs."""
    if desired is None or await store.list_nodes("Attempt", under=desired.path, limit=1):
        return
    gone = Command("delete", desired.path, expected_version=desired.version)
    for verdict in await appender.append(Unit((gone,), actor, fence=fence)):
        if verdict.error is not None and not isinstance(verdict.error, Conflict | NotFound):
            raise verdict.error
