"""Groups of traffic lights, each with a program, and what each light should show and shows."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from datamodel.kinds import SYSTEM, USER, Kind, Name, Part, Plane, Seed
from datamodel.model import Model

LIGHT = "light"
"""The role of a light: it writes the status of its own node, and of no other."""

STREETS = Plane("streets", spec_writers=frozenset({USER}), status_writers=frozenset({SYSTEM}))
SIGNALS = Plane(
    "signals", spec_writers=frozenset({SYSTEM}), status_writers=frozenset({LIGHT}), scoped=frozenset({LIGHT})
)


class Streets(Kind):
    """What people ask for."""

    plane, segment, singleton = STREETS, "streets", True


class Stage(Part):
    """A part of a program: for so long these lights are green, and all others red."""

    seconds: Annotated[float, Field(gt=0, le=600)]
    green: tuple[Name, ...] = ()


class GroupSpec(Part):
    """The lights of a group and their program, which begins again when it has ended."""

    lights: Annotated[tuple[Name, ...], Field(min_length=1, max_length=32)]
    program: Annotated[tuple[Stage, ...], Field(min_length=1, max_length=32)]

    @model_validator(mode="after")
    def _of_its_own_lights(self) -> "GroupSpec":
        for light in {light for stage in self.program for light in stage.green} - set(self.lights):
            raise ValueError(f"{light!r} is none of its lights")
        return self


class Group(Kind):
    """Lights that share a program."""

    plane, parent, segment = STREETS, Streets, "groups"
    Spec = GroupSpec


class Signals(Kind):
    """What each light should show."""

    plane, segment, singleton = SIGNALS, "signals", True


class SignalGroup(Kind):
    """The lights of the group of the same name."""

    plane, parent, segment = SIGNALS, Signals, "groups"


class LightSpec(Part):
    """What a light should show."""

    colour: Literal["red", "green"]


class LightStatus(Part):
    """What it shows."""

    colour: Literal["", "red", "green"] = ""


class Light(Kind):
    """One light."""

    plane, parent, segment = SIGNALS, SignalGroup, "lights"
    Spec, Status = LightSpec, LightStatus


MODEL = Model([Streets, Group, Signals, SignalGroup, Light], seeds=[Seed("/streets"), Seed("/signals")])
