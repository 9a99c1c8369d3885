"""A second small model beside the scheduling one: links of every sort, fields that do not change, and a secret's name."""

from typing import Annotated, Any

from pydantic import Field

from datamodel.command import Actor, Command, Outcome, Unit, raise_refused
from datamodel.kinds import IMMUTABLE, Kind, Link, Part, Plane, SecretReference
from datamodel.model import Model
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.prepare import prepare
from datamodel.scheduling.model import MODEL

GARDENER = Actor("mary", "user")
PLANE = Plane("garden", frozenset({"user"}), frozenset({"system"}))

TRELLIS, PLANT = "/garden/trellises/t", "/garden/beds/b/plants/p"


class Garden(Kind):
    plane, segment, singleton = PLANE, "garden", True


class Trellis(Kind):
    plane, parent, segment = PLANE, Garden, "trellises"


class Bed(Kind):
    plane, parent, segment = PLANE, Garden, "beds"


class Soil(Part):
    acidity: Annotated[float, IMMUTABLE] = 7.0
    water: int = 1


class PlantSpec(Part):
    height: Annotated[int, Field(ge=0)] = 1
    colours: dict[str, str] = {}
    species: Annotated[str, Field(min_length=1), IMMUTABLE] = "rose"
    soil: Soil = Soil()
    pots: Annotated[tuple[Soil, ...], Field(max_length=9)] = ()
    depths: dict[str, Soil | None] = {}
    patent: Annotated[SecretReference, IMMUTABLE] | None = None


class Plant(Kind):
    """It stands at a trellis, and near others."""

    plane, parent, segment = PLANE, Bed, "plants"
    Spec = PlantSpec
    links = {
        "stands": Link(to="Trellis", reverse="plants"),
        "near": Link(to="Plant", reverse="neighbours", many=True, gone="unlink"),
        "seller": Link(to="Shop", reverse="sold", gone="keep"),
    }


class Graft(Kind):
    """A part of a plant that goes with it, once the gardener has let it go."""

    plane, parent, segment = PLANE, Bed, "grafts"
    links = {"stock": Link(to="Plant", reverse="grafts", required=True, gone="cascade")}
    finalizers = ("gardener",)


class Bud(Kind):
    """Below a graft, or grown from others."""

    plane, parent, segment = PLANE, Graft, "buds"
    links = {"of": Link(to="Bud", reverse="buds", many=True, gone="cascade")}


class Shop(Kind):
    plane, parent, segment = PLANE, Garden, "shops"


GARDEN = Model([*MODEL.kinds.values(), Garden, Trellis, Bed, Plant, Graft, Bud, Shop], MODEL.seeds, MODEL.judge)


async def tend(store: Store, *commands: Command, actor: Actor = GARDENER, **guards: Any) -> Outcome:
    """The verdicts on one unit."""
    (outcome,) = await store.append([prepare(GARDEN, Unit(commands, actor, **guards))])
    return outcome


async def tended(store: Store, *commands: Command, actor: Actor = GARDENER, **guards: Any) -> Outcome:
    """The verdicts on one unit, none of which may be a refusal."""
    return raise_refused(await tend(store, *commands, actor=actor, **guards))


async def plant_garden(store: Store) -> None:
    """A bed, a trellis and a shop."""
    paths = ("/garden", "/garden/beds/b", TRELLIS, "/garden/shops/s")
    await tended(store, *(Command("create", path) for path in paths))


def plant(name: str = "p", body: dict[str, Any] | None = None, **links: str | tuple[str, ...]) -> Command:
    path = f"/garden/beds/b/plants/{name}"
    return Command("create", path, body or {}, links=_many(links))


def graft(name: str, stock: str, bed: str = "b") -> Command:
    return Command("create", f"/garden/beds/{bed}/grafts/{name}", links={"stock": (stock,)})


def _many(links: dict[str, str | tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {name: (found,) if isinstance(found, str) else found for name, found in links.items()}


def link(path: str, name: str, target: str) -> Command:
    return Command("link", path, {"link": name, "target": target})


def unlink(path: str, name: str, target: str) -> Command:
    return Command("unlink", path, {"link": name, "target": target})


async def grown(store: Store, path: str) -> Node:
    return (await store.nodes([path]))[path]
