"""What one GraphQL request shares among its resolvers."""

from collections.abc import Sequence
from typing import NamedTuple

import strawberry
from strawberry.dataloader import DataLoader

from datamodel.errors import Invalid
from datamodel.kinds import Kind
from gateway.backend import Backend
from gateway.page import Found, Page

NODES_LIMIT = 20_000
"""How many nodes one request may ask for, as its pages say; deep pages multiply."""


class Children(NamedTuple):
    """A page of one parent's children."""

    kind: type[Kind]
    parent: str
    page: Page


class Context:
    """One request's backend, batches and budget."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.children: DataLoader[Children, Found] = DataLoader(self._load_children)
        self._asked = 0

    def charge(self, nodes: int) -> None:
        """Raises `Invalid` once the request has asked for too many nodes."""
        self._asked += nodes
        if self._asked > NODES_LIMIT:
            raise Invalid(f"the query asks for more than {NODES_LIMIT} nodes: ask for smaller pages")

    async def _load_children(self, wanted: Sequence[Children]) -> list[Found]:
        """One query for all parents whose pages are alike, as those of one field are."""
        loaded: dict[Children, Found] = {}
        for kind, page in dict.fromkeys((want.kind, want.page) for want in wanted):
            parents = [want.parent for want in wanted if want.kind is kind and want.page == page]
            children = await self.backend.store.children(
                kind.__name__, parents, after=page.after, limit=page.limit + 1, phases=page.phases
            )
            for parent, nodes in children.items():
                loaded[Children(kind, parent, page)] = Found(nodes[: page.limit], more=len(nodes) > page.limit)
        return [loaded[want] for want in wanted]


Info = strawberry.Info[Context, None]
