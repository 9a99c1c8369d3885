"""The keys of a world's agents, and how the hub gets to know them. Nothing is signed for these: no server asks to see it."""

import hashlib
from collections.abc import Iterable

from datamodel.command import Command
from datamodel.identity.nkeys import Key
from datamodel.scheduling.credentials import credential_path

SITE = "s"


def agent_key(agent: str) -> Key:
    """The same in every world."""
    return Key("user", hashlib.sha256(agent.encode()).digest())


def introductions(agents: Iterable[str]) -> tuple[Command, ...]:
    """What an operator asks so that the hub knows them."""
    keys = {agent: agent_key(agent).public for agent in agents}
    return (
        Command("apply", f"/config/sites/{SITE}"),
        *(Command("apply", credential_path(SITE, agent), {"publicKey": key}) for agent, key in keys.items()),
    )
