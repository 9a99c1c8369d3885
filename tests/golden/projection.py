"""A projection as it is kept beside a golden log."""

import msgspec

from datamodel.kinds import Document
from datamodel.ledger import Totals
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.state import State


class Projection(msgspec.Struct, frozen=True):
    """The rows of a state, each in the order of its key; what is there by default need not be."""

    nodes: dict[str, Node]
    pools: dict[str, Pool]
    ledger: list[Document]
    totals: dict[str, Totals]

    @classmethod
    def of(cls, state: State) -> "Projection":
        return cls(
            nodes=dict(sorted(state.nodes.items())),
            pools=dict(sorted(state.pools.items())),
            ledger=[msgspec.json.decode(msgspec.json.encode(state.entries[key])) for key in sorted(state.entries)],
            totals=dict(sorted(state.totals.items())),
        )


def decoded(text: bytes) -> Projection:
    return msgspec.json.decode(text, type=Projection)
