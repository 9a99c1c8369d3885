"""Writing once: what a request asks for, which is sent again with its key without being done again."""

from dataclasses import dataclass

from datamodel.command import Actor, Command, Verdict, raise_refused
from gateway.backend import ACTOR, Backend


@dataclass(frozen=True, slots=True)
class Once:
    """How one request writes: with its idempotency key (empty: none) and the digest of what that stands for, and as whom."""

    backend: Backend
    key: str = ""
    digest: str = ""
    dry_run: bool = False
    actor: Actor = ACTOR

    async def replayed(self) -> Verdict | None:
        """What the key has done before, None where that is nothing. What would be judged by the present must not be, where it
        has been done already. Raises `Invalid` where the key was another request's."""
        if not self.key:
            return None
        outcome = await self._append(dry_run=True)
        return outcome[-1] if outcome else None

    async def write(self, *commands: Command) -> Verdict:
        """The verdict on the last of these commands, which are carried out all or none. Raises what refuses them."""
        return (await self._append(*commands, dry_run=self.dry_run))[-1]

    async def _append(self, *commands: Command, dry_run: bool) -> tuple[Verdict, ...]:
        outcome = await self.backend.append(
            commands, key=self.key, digest=self.digest, dry_run=dry_run, actor=self.actor
        )
        return raise_refused(outcome)
