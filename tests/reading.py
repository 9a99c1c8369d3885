"""Every version of everything, kept in the plainest way: what the graph was at each position, as dictionaries of nodes."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from datamodel.command import Command
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.verify import verify
from tests.graph import STEPS, SYSTEM, USER, send

GROUPS = ("g", "h")
NAMES = ("a", "b", "c")
TEAMS = ("", "red", "blue")

Move = tuple[str, int]
"""What to do, and a number that chooses to whom."""

_MOVES = ("create", "create", "label", "label", "run", "end", "spec", "delete", "finalize", "group", "ungroup")
moves = st.lists(st.tuples(st.sampled_from(_MOVES), st.integers(0, 999)), min_size=1, max_size=40)


class Versions:
    """A store, and beside it the nodes at each of its positions, read as the present while it was that."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.at: dict[int, dict[str, Node]] = {0: {}}
        self.last = 0

    async def take(self, moves: Sequence[Move]) -> None:
        for name, number in moves:
            await self.move(name, number)

    async def move(self, name: str, number: int) -> None:
        group = f"/config/job-groups/{GROUPS[number % 2]}"
        path = f"{group}/jobs/{NAMES[number // 2 % 3]}"
        labels = {"team": TEAMS[number // 6 % 3], "n": str(number % 5)} if number % 4 else {}
        match name:
            case "create":
                await self.send(Command("create", path, {"steps": STEPS, "chunks": 1 + number % 3}, labels))
            case "label":
                await self.send(Command("patchSpec", path, {}, labels))
            case "run":
                await self.send(Command("patchStatus", path, _running(number)), actor=SYSTEM)
            case "end":
                await self.send(Command("patchStatus", path, {"phase": "failed"}), actor=SYSTEM)
            case "spec":
                await self.send(Command("patchSpec", path, {"retries": number % 4, "chunks": 1 + number % 3}))
            case "delete":
                await self.send(Command("delete", path))
            case "finalize":
                await self.send(Command("finalize", path, {"finalizer": "attempts"}), actor=SYSTEM)
            case "group":
                await self.send(Command("create", group, {"description": str(number)}, labels))
            case "ungroup":
                await self.send(Command("delete", group))

    async def send(self, command: Command, actor: Any = USER) -> None:
        """A refusal changes nothing. Where one command is several events, the positions between are nobody's present."""
        await send(self.store, command, actor=actor)
        await self.note()

    async def note(self) -> None:
        head = await self.store.head()
        if head.position > self.last:
            self.last = head.position
            self.at[self.last] = {
                change.path: change.node for change in await self.store.living("", 1_000) if change.node
            }

    async def check(self) -> None:
        found = await verify(self.store)
        assert found.clean, str(found)


def _running(number: int) -> dict[str, Any]:
    return {"phase": "running", "percentCompleted": float(number % 7)}
