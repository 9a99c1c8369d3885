"""What the load is put on: a system that takes jobs, shows them, and deletes them."""

from collections.abc import Callable
from typing import Protocol


class Target(Protocol):
    """Answers with HTTP statuses. Every method raises `Transient` where there is no answer."""

    async def submit(self, name: str, document: object, key: str) -> int:
        """Sends a job. `key` is the idempotency key: who sends it again with its key creates nothing again."""
        ...

    async def watch(self, name: str, seen: Callable[[str], None]) -> int:
        """Calls `seen` with the job's phase, at first as it is and then at every change, until the job has ended or is gone
        (`deleted`), or the watch breaks off with an answer."""
        ...

    async def delete(self, name: str) -> int: ...
