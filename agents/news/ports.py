"""What tells of an edge, and to whom."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

Changes = Mapping[str, Mapping[str, Any]]
"""By edge, what is different from now on: fields of its report by their names."""

Tell = Callable[[Changes], Awaitable[None]]
"""Makes it known to the hub. Raises `Transient` where the outbox cannot keep it."""


class News(Protocol):
    """One thing that changes."""

    async def first(self) -> Changes:
        """As it is now, for the report that introduces the edges."""
        ...

    async def run(self, tell: Tell) -> None:
        """Tells of it whenever it has changed, until it is cancelled."""
        ...
