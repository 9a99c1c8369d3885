"""A model that has nothing to do with scheduling: gardens with beds, a shed, and flowers that stand by each other."""

from typing import Annotated, Literal

from pydantic import Field

from datamodel.kinds import SYSTEM, USER, Column, Kind, Link, Part, Phases, Plane, Seed
from datamodel.model import Model

GARDEN = Plane("garden", spec_writers=frozenset({USER}), status_writers=frozenset({SYSTEM}))


class Garden(Kind):
    """All that grows."""

    plane, segment, singleton = GARDEN, "garden", True


class ShedSpec(Part):
    """What is in the shed."""

    tools: Annotated[int, Field(ge=0, le=100)] = 1


class Shed(Kind):
    """Where the tools are."""

    plane, parent, segment, singleton = GARDEN, Garden, "shed", True
    Spec = ShedSpec


class Bed(Kind):
    """Where flowers grow."""

    plane, parent, segment = GARDEN, Garden, "beds"


class FlowerSpec(Part):
    """How a flower should be."""

    colour: Literal["red", "white"] = "red"
    height_cm: Annotated[int, Field(ge=1, le=500)] = 30


class FlowerStatus(Part):
    """How a flower is."""

    phase: Literal["bud", "bloom", "wilted"] = "bud"


class Flower(Kind):
    """One plant."""

    plane, parent, segment = GARDEN, Bed, "flowers"
    Spec, Status = FlowerSpec, FlowerStatus
    columns = (Column("phase", "status.phase"), Column("height", "spec.heightCm", "number"))
    examples = ({"colour": "white", "heightCm": 60},)
    phases = Phases("bud", {"bud": frozenset({"bloom", "wilted"}), "bloom": frozenset({"wilted"})})
    links = {"beside": Link(to="Flower", reverse="neighbours", gone="unlink")}


MODEL = Model([Garden, Shed, Bed, Flower], [Seed("/garden"), Seed("/garden/shed")])
