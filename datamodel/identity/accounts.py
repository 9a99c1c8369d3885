"""What servers know of the account: told to them while they run, so that what is revoked is so at once."""

import json
from typing import Protocol

from datamodel.errors import Transient
from datamodel.feed.bus import NATS_FAILURES, REQUEST_TIMEOUT_S, Bus


class Accounts(Protocol):
    """Both may raise `Transient`."""

    async def present(self) -> str:
        """The account's JWT as a server has it; empty where it has none."""
        ...

    async def tell(self, jwt: str) -> None:
        """Gives them another one, which they keep."""
        ...


class NatsAccounts:
    """The port over a connection of the system account (nats-server's `resolver`, of type `full`)."""

    def __init__(self, bus: Bus, account: str) -> None:
        self._bus = bus
        self._account = account

    async def present(self) -> str:
        subject = f"$SYS.REQ.ACCOUNT.{self._account}.CLAIMS.LOOKUP"
        try:
            return (await self._bus.client.request(subject, timeout=REQUEST_TIMEOUT_S)).data.decode()
        except NATS_FAILURES as error:
            raise Transient(f"no server tells what it knows of the account: {error}") from error

    async def tell(self, jwt: str) -> None:
        try:
            answer = await self._bus.client.request("$SYS.REQ.CLAIMS.UPDATE", jwt.encode(), timeout=REQUEST_TIMEOUT_S)
        except NATS_FAILURES as error:
            raise Transient(f"no server takes the account: {error}") from error
        told = json.loads(answer.data)
        if "error" in told:
            raise Transient(f"a server refuses the account: {told['error'].get('description', told['error'])}")
