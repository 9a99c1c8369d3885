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
_CLASS: Any = object.__dict__["__class__"]
"""Descriptors of the struct's members and of its class, which a frozen struct has no other way to set."""


class StoredNode(Node, frozen=True):
    """A node that is made with the text of its spec and status, and is a `Node` like any other as soon as somebody reads one of
    them: who reads more of it pays nothing for that. It is encoded as it is, and equals what it says."""

    @property  # type: ignore[misc] # mypy knows no field that is read otherwise below
    def spec(self) -> Document:
        return _decoded(self).spec

    @property  # type: ignore[misc]
    def status(self) -> Document:
        return _decoded(self).status

    @property
    def encodable_spec(self) -> Document | msgspec.Raw:
        found: Document | msgspec.Raw = _SPEC.__get__(self)
        return found

    @property
    def encodable_status(self) -> Document | msgspec.Raw:
        found: Document | msgspec.Raw = _STATUS.__get__(self)
        return found

    def __eq__(self, other: object) -> bool:
        return _decoded(self) == other

    def __ne__(self, other: object) -> bool:  # a struct's own does not ask `__eq__`
        return _decoded(self) != other

    __hash__ = None  # type: ignore[assignment] # its documents have none


def _decoded(node: StoredNode) -> Node:
    """The same object, which is no stored node any more. Where some of it was replaced, that is no text."""
    for member in (_SPEC, _STATUS):
        found = member.__get__(node)
        if isinstance(found, msgspec.Raw):
            member.__set__(node, _decode(found))
    _CLASS.__set__(node, Node)
    return node
