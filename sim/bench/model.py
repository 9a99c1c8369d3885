"""A model of its own for the figures of the graph: items on shelves, with nothing in them but text."""

from typing import Annotated

from pydantic import StringConstraints

from datamodel.kinds import Kind, Part, Plane
from datamodel.model import Model

WRITER = "bench"
PLANE = Plane("bench", spec_writers=frozenset({WRITER}), status_writers=frozenset({WRITER}))


class Bench(Kind):
    """What is measured."""

    plane, segment, singleton = PLANE, "bench", True


class Shelf(Kind):
    """Items that belong together."""

    plane, parent, segment = PLANE, Bench, "shelves"


class ItemSpec(Part):
    """So many bytes."""

    text: Annotated[str, StringConstraints(max_length=4096)] = ""


class ItemStatus(Part):
    """How often the item was counted."""

    counted: int = 0


class Item(Kind):
    """A small node."""

    plane, parent, segment = PLANE, Shelf, "items"
    Spec = ItemSpec
    Status = ItemStatus


MODEL = Model([Bench, Shelf, Item])
