"""A database takes another model where that suits what is stored; else it is refused with the objects and their fields, and
programs of another model than the database's do not start."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import pytest
import pytest_asyncio
from pydantic import Field

from datamodel.command import Actor, Command, Unit, raise_refused
from datamodel.errors import Invalid
from datamodel.fingerprint import fingerprints
from datamodel.kinds import USER, Document, Kind, Part, Upcast
from datamodel.model import Model
from datamodel.postgres.kinds import SHOWN
from datamodel.postgres.store import PostgresStore
from datamodel.prepare import prepare
from migrations.upgrade import migrate
from tests import garden, garden_later
from tests.garden import GARDEN, Bed, Garden, Shed

FLOWERS = "/garden/beds/b/flowers"


class FlowerSpec(Part):
    """Without white ones, and no higher than a metre."""

    colour: Literal["red", "blue"] = "red"
    height_cm: Annotated[int, Field(ge=1, le=100)] = 30


def with_flowers(spec: type[Part], **declared: Any) -> Model:
    """The garden's model, with flowers of another declaration."""
    flower = type(
        "Flower",
        (garden.Flower,),
        {"__doc__": "Said otherwise.", "Spec": spec, "columns": (), "examples": (), **declared},
    )
    return Model([Garden, Shed, Bed, flower], garden.MODEL.seeds)


STRICT = with_flowers(FlowerSpec)


@pytest_asyncio.fixture
async def url(empty_database_url: str) -> AsyncIterator[str]:
    """A database with a garden in it."""
    await migrate(empty_database_url, garden.MODEL)
    async with PostgresStore(empty_database_url, garden.MODEL) as store:
        flowers: dict[str, Document] = {"rose": {"heightCm": 150}, "lily": {"colour": "white"}, "aster": {}}
        beds = [Command("create", "/garden/beds/b")]
        commands = [*beds, *(Command("create", f"{FLOWERS}/{name}", spec) for name, spec in flowers.items())]
        await write(store, *commands)
    yield empty_database_url


async def test_a_model_that_breaks_what_is_stored_is_refused_with_the_objects_and_their_fields(url: str) -> None:
    with pytest.raises(Invalid) as raised:
        await migrate(url, STRICT)
    assert raised.value.message.splitlines() == [
        "the model breaks 2 of what is stored; nothing was changed:",
        f"  {FLOWERS}/lily: /spec/colour: Input should be 'red' or 'blue'",
        f"  {FLOWERS}/rose: /spec/heightCm: Input should be less than or equal to 100",
    ]
    await migrate(url, garden.MODEL)
    async with PostgresStore(url, garden.MODEL) as store:
        await store.check_model()
        await write(store, Command("patchSpec", f"{FLOWERS}/rose", {"heightCm": 90}))
        await write(store, Command("delete", f"{FLOWERS}/lily"))
    await migrate(url, STRICT)


async def test_what_an_upcast_makes_of_it_is_what_counts(url: str) -> None:
    await migrate(url, garden_later.MODEL)
    async with PostgresStore(url, garden_later.MODEL) as store:
        await store.check_model()


@pytest.mark.parametrize(
    ("upcast", "says"),
    [
        (Upcast(), "/spec/heightCm: Extra inputs are not permitted"),
        (
            Upcast(spec=lambda spec: {"colour": spec["colour"]}),
            "/spec/heightMm: is not there, and new ones have it by default: upcast it",
        ),
        (Upcast(spec=lambda spec: {"heightMm": spec["height"]}), "cannot be upcast from version 1: KeyError('height')"),
        (Upcast(spec=lambda _: {"heightMm": 0, "colour": "red"}), "/spec/heightMm: Input should be greater than"),
    ],
)
async def test_an_upcast_that_does_not_do_it_is_found_out(url: str, upcast: Upcast, says: str) -> None:
    class Spec(Part):
        colour: Literal["red", "white"] = "red"
        height_mm: Annotated[int, Field(ge=1)] = 300

    with pytest.raises(Invalid) as raised:
        await migrate(url, with_flowers(Spec, version=2, upcasts={1: upcast}))
    assert "breaks 3 of what is stored" in raised.value.message
    assert says in raised.value.message


async def test_a_kind_that_is_gone_or_has_moved_breaks_its_nodes(url: str) -> None:
    with pytest.raises(Invalid) as raised:
        await migrate(url, Model([Garden, Shed, Bed], garden.MODEL.seeds))
    assert f"{FLOWERS}/aster: /metadata/kind: Flower is not declared any more" in raised.value.message

    class Moved(Kind):
        """Where flowers grow."""

        plane, parent, segment = GARDEN, Garden, "plots"

    Moved.__name__ = "Bed"
    with pytest.raises(Invalid) as raised:
        await migrate(url, Model([Garden, Shed, Moved]))
    assert "/garden/beds/b: /metadata/path: '/garden/beds/b': nothing is declared at 'beds'" in raised.value.message


async def test_a_kind_that_the_log_speaks_of_stays_declared(url: str) -> None:
    async with PostgresStore(url, garden.MODEL) as store:
        await write(store, *(Command("delete", f"{FLOWERS}/{name}") for name in ("rose", "lily", "aster")))
    with pytest.raises(Invalid) as raised:
        await migrate(url, Model([Garden, Shed, Bed], garden.MODEL.seeds))
    assert "  Flower: is not declared any more, and the log has events of it: keep its declaration" in (
        raised.value.message.splitlines()
    )


async def test_a_model_does_not_grow_younger(url: str) -> None:
    await migrate(url, garden_later.MODEL)
    with pytest.raises(Invalid) as raised:
        await migrate(url, garden.MODEL)
    assert "  Flower: version 1 is older than 3, which the database had" in raised.value.message.splitlines()


async def test_the_list_is_bounded_and_the_count_is_not(url: str) -> None:
    async with PostgresStore(url, garden.MODEL) as store:
        names = [f"f{number}" for number in range(SHOWN + 20)]
        await write(store, *(Command("create", f"{FLOWERS}/{name}", {"heightCm": 101}) for name in names))
    with pytest.raises(Invalid) as raised:
        await migrate(url, STRICT)
    lines = raised.value.message.splitlines()
    assert lines[0] == f"the model breaks {SHOWN + 22} of what is stored; nothing was changed:"
    assert lines[-1] == "  … and 22 more"
    assert len(lines) == SHOWN + 2


async def test_programs_of_another_model_do_not_start(url: str) -> None:
    for module in ("datamodel", "gateway"):
        code, said = await started(module, url, "tests.garden_later")
        assert code in {1, 2}
        assert "another model, in which Flower are declared otherwise: run `tendril migrate`" in said
    code, said = await started("datamodel", url, "tests.garden")
    assert code == 0, said
    code, said = await started("migrations", url, "tests.integration.test_model_change")
    says = f"migrations: tests.integration.test_model_change has no `MODEL`; it is that of {__file__}\n"
    assert (code, said) == (1, says)
    code, said = await started("migrations", url, "tests.garden_later")
    assert code == 0, said


def test_a_fingerprint_is_of_what_matters() -> None:
    """Prose does not, what can be written does."""

    class Reworded(FlowerSpec):
        """Said otherwise."""

    Reworded.__name__ = FlowerSpec.__name__
    same = with_flowers(Reworded)
    assert fingerprints(same) == fingerprints(STRICT)
    differing = {name for name, digest in fingerprints(STRICT).items() if fingerprints(garden.MODEL)[name] != digest}
    assert differing == {"Flower"}


async def started(module: str, url: str, model: str) -> tuple[int | None, str]:
    """The exit code of a program, and what it said."""
    variables = {"TENDRIL_DATABASE_URL": url, "TENDRIL_NATS_URL": "nats://127.0.0.1:1", "TENDRIL_MODEL": model}
    environment = os.environ | variables | {"TENDRIL_PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        _, said = await process.communicate()
    return process.returncode, said.decode()


async def write(store: PostgresStore, *commands: Command) -> None:
    (outcome,) = await store.append([prepare(store.model, Unit(commands, Actor("ann", USER)))])
    raise_refused(outcome)
