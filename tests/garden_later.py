"""The garden's model a year later: heights are in millimetres, flowers count their leaves, and nobody has a shed's tools."""

from typing import Annotated, Literal

from pydantic import Field

from datamodel.kinds import Document, Kind, Link, Part, Phases, Upcast
from datamodel.model import Model
from tests import garden
from tests.garden import GARDEN, Bed, Garden, Shed


class FlowerSpec(Part):
    """How a flower should be."""

    colour: Literal["red", "white"] = "red"
    height_mm: Annotated[int, Field(ge=1, le=5_000)] = 300
    staked: bool = False


class FlowerStatus(Part):
    """How a flower is."""

    phase: Literal["bud", "bloom", "wilted"] = "bud"
    leaves: int = 0


def _in_millimetres(spec: Document) -> Document:
    return {"colour": spec["colour"], "heightMm": spec["heightCm"] * 10}


class Flower(Kind):
    """One plant."""

    plane, parent, segment = GARDEN, Bed, "flowers"
    Spec, Status = FlowerSpec, FlowerStatus
    phases = Phases("bud", {"bud": frozenset({"bloom", "wilted"}), "bloom": frozenset({"wilted"})})
    links = {"beside": Link(to="Flower", reverse="neighbours")}
    version = 3
    upcasts = {
        1: Upcast(spec=_in_millimetres, status=lambda status: {"leaves": 0, **status}),
        2: Upcast(spec=lambda spec: {**spec, "staked": False}),
    }


MODEL = Model([Garden, Shed, Bed, Flower], garden.MODEL.seeds)
