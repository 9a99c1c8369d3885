"""Nodes as rows hold them: with a spec and a status of text, which is decoded when somebody reads it.

Much of what is read is only passed on: the relay sends a node's whole image, and a page of the API tells each node's spec. To
decode these and to encode them again cost as much as all else that is done with a row.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from datamodel.kinds import Document
from datamodel.node import Node

_decode: Callable[[msgspec.Raw], Document] = msgspec.json.Decoder(dict[str, Any]).decode
_SPEC, _STATUS = (Node.__dict__[name] for name in ("spec", "status"))
"""Where a node has them: as text until they are read, and as documents from then on."""


class StoredNode(Node, frozen=True):
    """A node that is made with the text of its spec and status. It is encoded as any other, and equals it."""

    @property  # type: ignore[misc] # mypy knows no field that is read otherwise below
    def spec(self) -> Document:
        return _read(self, _SPEC)

    @property  # type: ignore[misc]
    def status(self) -> Document:
        return _read(self, _STATUS)

    @property
    def encodable_spec(self) -> Document | msgspec.Raw:
        found: Document | msgspec.Raw = _SPEC.__get__(self)
        return found

    @property
    def encodable_status(self) -> Document | msgspec.Raw:
        found: Document | msgspec.Raw = _STATUS.__get__(self)
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and all(
            getattr(self, name) == getattr(other, name) for name in Node.__struct_fields__
        )

    def __ne__(self, other: object) -> bool:  # a struct's own does not ask `__eq__`
        return not self == other

    __hash__ = None  # type: ignore[assignment] # its documents have none


def _read(node: StoredNode, slot: Any) -> Document:
    found: Document | msgspec.Raw = slot.__get__(node)
    if isinstance(found, msgspec.Raw):
        found = _decode(found)
        slot.__set__(node, found)
    return found
