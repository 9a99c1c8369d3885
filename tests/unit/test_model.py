"""Declarations that make no tree are refused with file and field; documents with the field's JSON pointer."""

from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from datamodel.errors import Invalid
from datamodel.kinds import Column, Kind, Link, Part, Phases, Plane, Seed, Settle, Upcast
from datamodel.ledger import Entry
from datamodel.model import Model
from datamodel.parts import check_status, normal_spec
from datamodel.scheduling.attempts import Attempt, attempt_name, claim_of
from datamodel.scheduling.jobs import Job
from datamodel.scheduling.model import MODEL
from sim.chaos.machine import ROOT
from tests.graph import JOBS, STEPS

PLANE = Plane("garden", frozenset({"user"}), frozenset({"system"}))
OTHER = Plane("other", frozenset({"user"}), frozenset({"system"}))


class Garden(Kind):
    plane, segment, singleton = PLANE, "garden", True


class Bed(Kind):
    plane, parent, segment = PLANE, Garden, "beds"


class Shed(Kind):
    plane, parent, segment, singleton = PLANE, Garden, "shed", True


class Flower(Kind):
    plane, parent, segment = PLANE, Bed, "flowers"


class Weed(Flower):
    """At a place that is taken."""


class Stray(Kind):
    plane, segment = PLANE, "strays"


class Alien(Kind):
    plane, parent, segment = OTHER, Garden, "aliens"


class Shouting(Kind):
    plane, parent, segment = PLANE, Garden, "BEDS"


class Ivy(Kind):
    plane, parent, segment = PLANE, Garden, "ivies"
    links = {"wall": Link(to="Wall", reverse="ivies")}


class Fern(Kind):
    plane, parent, segment = PLANE, Garden, "ferns"
    links = {
        "near": Link(to="Fern", reverse="neighbours"),
        "far": Link(to="Fern", reverse="neighbours"),
    }


class Trellis(Kind):
    plane, parent, segment = PLANE, Garden, "trellises"
    links = {"in": Link(to="Garden", reverse="beds")}


class Seedling(Kind):
    plane = PLANE


class Homeless(Kind):
    plane, parent, segment = "garden", Garden, "homeless"  # type: ignore[assignment]


class TwoParents(Kind):
    plane, parent, segment = PLANE, (Garden, Bed), "two"  # type: ignore[assignment]


class Dragon(Kind):
    plane, segment = PLANE, "dragons"


class Egg(Kind):
    plane, parent, segment = PLANE, Dragon, "eggs"


Dragon.parent = Egg


class SecondGarden(Kind):
    plane, segment, singleton = Plane("garden", frozenset({"user"}), frozenset({"system"})), "garden", True


class Untyped(Kind):
    plane, parent, segment = PLANE, Garden, "untyped"
    Spec = dict  # type: ignore[assignment]


class MoonStatus(Part):
    phase: Literal["new", "full"] = "new"


class Moon(Kind):
    plane, parent, segment = PLANE, Garden, "moons"
    Status = MoonStatus
    phases = Phases("new", {"new": frozenset({"half"})})


class LateMoon(Moon):
    segment = "late"
    phases = Phases("full", {"full": frozenset({"new"})})


class LastingMoon(Moon):
    segment = "lasting"
    phases = Phases("new", {"new": frozenset({"full"})}, afterwards=frozenset({"phase"}))


class Waxing(Kind):
    plane, parent, segment = PLANE, Garden, "waxing"
    once = frozenset({"waxed"})


class Dark(Kind):
    plane, parent, segment = PLANE, Garden, "dark"
    phases = Phases("new", {})


def _another() -> type[Kind]:
    class MoonStatus(Part):
        pass

    class Sun(Kind):
        plane, parent, segment = PLANE, Garden, "suns"
        Status = MoonStatus

    return Sun


class FullMoon(Kind):
    plane, parent, segment = PLANE, Garden, "full"
    Status = MoonStatus


class Tulip(Kind):
    plane, parent, segment = PLANE, Garden, "tulips"
    examples = ({}, {"depth": 3})


class Twins(Kind):
    plane, parent, segment = PLANE, Garden, "twins"
    columns = (Column("a", "metadata.name"), Column("a", "metadata.uid"))


class Misled(Kind):
    plane, parent, segment = PLANE, Garden, "misled"
    Status = MoonStatus
    columns = (Column("phase", "status.phase"), Column("none", "status.fase"))


class Deep(Kind):
    plane, parent, segment = PLANE, Garden, "deep"
    columns = (Column("none", "metadata.finalizers.0"),)


class Young(Kind):
    plane, parent, segment = PLANE, Garden, "young"
    version = 0


class Leaping(Kind):
    plane, parent, segment = PLANE, Garden, "leaping"
    version = 3
    upcasts = {2: Upcast()}


Sun = _another()
_settle = Settle(
    owner="wall",
    claim=lambda _: None,
    begin=lambda *_: "never",
    advance=lambda entry, *_: entry,
    final=frozenset(),
    verdict=lambda *_: {},
)


class Phaseless(Kind):
    plane, parent, segment = PLANE, Garden, "phaseless"
    settle = _settle


class Ownerless(Kind):
    plane, parent, segment = PLANE, Garden, "ownerless"
    Status = MoonStatus
    phases = Phases("new", {})
    settle = _settle


class Lettered(Kind):
    plane, parent, segment = PLANE, Garden, "lettered"
    links = {"bed": Link(to="Bed", reverse="letters", gone="drop")}  # type: ignore[arg-type]


class PotSpec(Part):
    glaze: Literal["white", "blue"] = "green"  # type: ignore[assignment]


class Pot(Kind):
    plane, parent, segment = PLANE, Garden, "pots"
    Spec = PotSpec


class ShelfSpec(Part):
    pots: list[PotSpec] = []
    wide_cm: Annotated[int, Field(ge=1)] = 0


class Shelf(Kind):
    plane, parent, segment = PLANE, Garden, "shelves"
    Spec = ShelfSpec


class Table(Kind):
    plane, parent, segment = PLANE, Garden, "tables"
    columns = (Column("name", "metadata.name", "float"),)  # type: ignore[arg-type]


class Judgeless(Ownerless):
    segment = "bookless"
    links = {"wall": Link(to="Garden", reverse="shelves")}


@pytest.mark.parametrize(
    ("kinds", "field", "says"),
    [
        ([Garden, Garden], "__name__", "already in the model"),
        ([Garden, Bed, Flower, Weed], "segment", "taken by Flower"),
        ([Garden, Flower], "parent", "Bed is not in the model"),
        ([Garden, Stray], "parent", "is its plane's root, a singleton of its name"),
        ([Garden, SecondGarden], "segment", "'garden' is taken by Garden"),
        ([Garden, TwoParents], "parent", "a kind has one parent"),
        ([Garden, Dragon], "parent", "it is below itself: Dragon → Egg → Dragon"),
        ([Garden, Alien], "plane", "it is not its parent's"),
        ([Garden, Homeless], "plane", "it is a str, and no Plane"),
        ([Garden, Seedling], "segment", "every kind has one"),
        ([Garden, Shouting], "segment", "'BEDS' is not a DNS label"),
        ([Garden, Untyped], "Spec", "no class that derives from Part"),
        ([Garden, Ivy], "links", "'wall' goes to 'Wall', which is not declared"),
        ([Garden, Fern], "links", "the way back of 'far', 'neighbours', is that of 'near' too"),
        ([Garden, Bed, Trellis], "links", "is named as children of Garden: 'beds'"),
        ([Garden, Moon], "phases", "'half' is no phase of its Status, which has new, full"),
        ([Garden, LateMoon], "phases", "they begin with 'full', and its Status with 'new'"),
        ([Garden, LastingMoon], "phases", "'phase', which may change afterwards, is no member of its Status"),
        ([Garden, Waxing], "once", "'waxed' is no member of its Status"),
        ([Garden, Dark], "phases", "those of `phase` in its Status"),
        ([Garden, FullMoon, Sun], "Status", "the name MoonStatus is taken by tests/unit/test_model.py:"),
        ([Garden, Tulip], "examples", "number 1: /spec/depth: Extra inputs"),
        ([Garden, Twins], "columns", "two are named 'a'"),
        ([Garden, Misled], "columns", "'none': nothing is declared at 'status.fase'; did you mean 'status.phase'?"),
        ([Garden, Table], "columns", "'format' of 'name' is one of text, number, bytes, percent, age, and not 'float'"),
        ([Garden, Bed, Lettered], "links", "'gone' of 'bed' is one of restrict, unlink, cascade, keep, and not 'drop'"),
        ([Garden, Pot], "Spec", "the default of 'glaze': Input should be 'white' or 'blue'"),
        ([Garden, Shelf], "Spec", "the default of 'wide_cm': Input should be greater than or equal to 1"),
        ([Garden, Deep], "columns", "nothing is declared at 'metadata.finalizers.0'"),
        ([Garden, Young], "version", "counted from 1"),
        ([Garden, Leaping], "upcasts", "one for each version before 3"),
        ([Garden, Phaseless], "phases", "a kind that settles a ledger needs some"),
        ([Garden, Ownerless], "settle", "for its link 'wall', which it has not"),
        ([Garden, Judgeless], "settle", "the model has no judge"),
    ],
)
def test_a_wrong_declaration_says_where(kinds: list[type[Kind]], field: str, says: str) -> None:
    """With the file and line of the class, so that an editor can go there."""
    with pytest.raises(Invalid) as raised:
        Model(kinds)
    assert raised.value.field == field
    assert says in raised.value.message
    place, _, rest = raised.value.message.partition(": ")
    file, _, line = place.partition(":")
    guilty = kinds[-1]
    assert rest.startswith(f"{guilty.__qualname__}.{field}: ")
    assert f"class {guilty.__name__}(" in (ROOT / file).read_text().splitlines()[int(line) - 1]


@pytest.mark.parametrize(
    ("seeds", "says"),
    [
        ([Seed("/garden/beds")], "seed /garden/beds: '/garden/beds' names a collection"),
        ([Seed("/garden/bed/b")], "nothing is declared at 'bed'; did you mean 'beds'?"),
        ([Seed("/garden/beds/b")], "its parent is no seed before it"),
        ([Seed("/garden/beds/b"), Seed("/garden")], "its parent is no seed before it"),
        ([Seed("/garden"), Seed("/garden/beds/b", {"x": 1})], "seed /garden/beds/b: /spec/x: Extra inputs"),
    ],
)
def test_a_wrong_seed_is_named(seeds: list[Seed], says: str) -> None:
    with pytest.raises(Invalid) as raised:
        Model([Garden, Bed], seeds=seeds)
    assert raised.value.field == "seeds"
    assert says in raised.value.message
    file, line, _ = raised.value.message.split(":", 2)
    assert "Model([Garden, Bed], seeds=seeds)" in (ROOT / file).read_text().splitlines()[int(line) - 1]


def test_nodes_are_located_by_their_path() -> None:
    model = Model([Garden, Bed, Shed, Flower])
    assert model.locate("/garden") == (Garden, "")
    assert model.locate("/garden/shed") == (Shed, "/garden")
    for _ in range(2):
        assert model.locate("/garden/beds/a/flowers/b") == (Flower, "/garden/beds/a")
    assert model.collection(Flower) == "/garden/beds/{}/flowers/{}"
    assert model.children(Garden) == (Bed, Shed)
    assert model.planes == (PLANE,)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "garden",
        "/garden/",
        "/garden/beds",
        "/garden/beds/",
        "/garden/beds/a/",
        "/garden/beds/A",
        "/garden/shed/x",
    ],
)
def test_other_paths_lead_nowhere(path: str) -> None:
    model = Model([Garden, Bed, Shed, Flower])
    model.locate("/garden/beds/a/flowers/b")
    with pytest.raises(Invalid):
        model.locate(path)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({}, "/spec/steps"),
        ({"steps": []}, "/spec/steps"),
        ({"steps": [{"name": "a"}]}, "/spec/steps/0/image"),
        ({"steps": [{**STEPS[0], "env": {"A~/B": "x"}}]}, "/spec/steps/0/env/A~0~1B"),
        ({"steps": STEPS, "annotations": {"a/b/c": "x"}}, "/spec/annotations/a~1b~1c"),
        ({"steps": STEPS, "annotations": {"a": "x" * 4097}}, "/spec/annotations/a"),
        ({"steps": [{**STEPS[0], "script": "x" * 60_000}], "annotations": {"a": 5}}, "/spec/annotations/a"),
        ({"steps": [{**STEPS[0], "command": ["x"]}]}, "/spec/steps/0"),
        ({"steps": [{**STEPS[0], "script": "\x00"}]}, "/spec/steps/0/script"),
        ({"steps": STEPS * 2}, "/spec/steps"),
        ({"steps": STEPS, "chunks": 0}, "/spec/chunks"),
        ({"steps": STEPS, "chunks": 1_000_001}, "/spec/chunks"),
        ({"steps": STEPS, "chunks": "2"}, "/spec/chunks"),
        ({"steps": STEPS, "requests": {"memoryBytes": -1}}, "/spec/requests/memoryBytes"),
        ({"steps": STEPS, "requests": {"cpu": float("nan")}}, "/spec/requests/cpu"),
        ({"steps": STEPS, "more": 1}, "/spec/more"),
    ],
)
def test_a_wrong_spec_names_the_field(spec: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as raised:
        normal_spec(Job, spec)
    assert raised.value.field == field
    assert raised.value.details[0][0] == field


def test_a_normal_spec_has_its_defaults_and_stays_as_it_is() -> None:
    spec = normal_spec(Job, {"steps": STEPS})
    assert (spec["chunks"], spec["retries"], spec["requests"]["memoryBytes"]) == (1, 2, 64 * 2**20)
    assert normal_spec(Job, spec) == spec


@pytest.mark.parametrize(
    ("status", "field"),
    [
        ({"phase": "lost"}, "/status/phase"),
        ({"phase": ["running"]}, "/status/phase"),
        ({"percent": "50"}, "/status/percent"),
        ({"percent": 100.1}, "/status/percent"),
        ({"percent": float("inf")}, "/status/percent"),
        ({"exit_codes": [0]}, "/status/exit_codes"),
        ({"startedAt": "yesterday"}, "/status/startedAt"),
    ],
)
def test_a_wrong_status_names_the_field(status: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as raised:
        check_status(Attempt, status)
    assert raised.value.field == field


def test_a_status_has_strict_types() -> None:
    check_status(Attempt, {"phase": "running", "percent": 50, "exitCodes": [0], "startedAt": "2026-01-01T00:00:00Z"})


@given(st.integers(0, 999_999), st.integers(1, 10**9 - 1))
def test_an_attempts_name_is_its_claim(index: int, epoch: int) -> None:
    name = attempt_name("a" * 32, index, epoch)
    assert len(name) <= 63
    claim = claim_of(f"/desired-config/sites/s/edges/e/attempts/{name}")
    assert claim is not None
    assert (claim.owner, claim.index, claim.epoch) == ("a" * 32, index, epoch)


@pytest.mark.parametrize(
    "name", ["a", "a-0-1", f"{'a' * 32}-00-1", f"{'a' * 32}-0-0", f"{'g' * 32}-0-1", f"{'a' * 32}-0"]
)
def test_other_names_claim_nothing(name: str) -> None:
    assert claim_of(f"/desired-config/sites/s/edges/e/attempts/{name}") is None


def test_every_kind_of_the_scheduling_model_can_be_located() -> None:
    for kind in MODEL.kinds.values():
        assert MODEL.locate(MODEL.collection(kind).replace("{}", "x"))[0] is kind
    assert MODEL.locate(f"{JOBS}/j")[0] is Job


def test_an_entry_is_compared_by_its_outputs_too() -> None:
    assert Entry("o", 0, 1, "placed", "/x") != Entry("o", 0, 1, "placed", "/y")
