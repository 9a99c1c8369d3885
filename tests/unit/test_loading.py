"""The model that a program works with: what is wrong with the name in the environment is said, and of which module."""

from collections.abc import Callable
from pathlib import Path

import pytest

from datamodel.errors import Invalid
from datamodel.loading import VARIABLE, load_extension, load_model
from datamodel.scheduling.model import MODEL
from tests import garden

Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a module that can be imported."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)

    return write


def test_where_nobody_says_anything_it_is_the_scheduling_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert load_model() is MODEL
    monkeypatch.setenv(VARIABLE, "")
    assert load_model() is MODEL


def test_the_environment_names_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "tests.garden")
    assert load_model() is garden.MODEL


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no `MODEL`"),
        ("MODEL = 3", "is a int, and no Model"),
        ("import no_such_library", "imports 'no_such_library', which is not there"),
        ("from datamodel.kinds import Nothing", "ImportError: cannot import name 'Nothing'"),
        ("MODEL =", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_what_is_no_model_is_refused(write: Write, request: pytest.FixtureRequest, text: str, says: str) -> None:
    name = f"loaded_{abs(hash(request.node.callspec.id))}"
    write(name, text)
    with pytest.raises(Invalid) as raised:
        load_model(name)
    assert raised.value.field == VARIABLE
    assert name in raised.value.message
    assert says in raised.value.message


@pytest.mark.parametrize("name", ["nowhere", "nowhere.model", "tests.nowhere", "tests.garden.model"])
def test_a_module_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(Invalid) as raised:
        load_model(name)
    assert "there is no module" in raised.value.message
    assert raised.value.field == VARIABLE


def test_a_wrong_declaration_is_said_as_it_is(write: Write) -> None:
    write(
        "thorny",
        "from datamodel.kinds import *\nfrom datamodel.model import Model\n"
        "class Rose(Kind):\n    plane, segment = Plane('garden', {'user'}, {'system'}), 'roses'\nMODEL = Model([Rose])\n",
    )
    with pytest.raises(Invalid) as raised:
        load_model("thorny")
    assert "Rose" in raised.value.message
    assert raised.value.field == "parent"


def test_a_program_takes_a_model_that_has_all_the_kinds_that_it_works_on(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        "scheduled_garden",
        "from datamodel.model import Model\nfrom datamodel.scheduling.model import MODEL as OTHER\n"
        "from tests.garden import MODEL as GARDEN\n"
        "MODEL = Model([*OTHER.kinds.values(), *GARDEN.kinds.values()], [*OTHER.seeds, *GARDEN.seeds], OTHER.judge)\n",
    )
    monkeypatch.setenv(VARIABLE, "scheduled_garden")
    assert load_extension(MODEL, "this").kinds.keys() == {*MODEL.kinds, *garden.MODEL.kinds}
    monkeypatch.setenv(VARIABLE, "tests.garden")
    with pytest.raises(Invalid) as raised:
        load_extension(MODEL, "this")
    assert raised.value.message.startswith("this works on the kinds of another model")
    assert raised.value.field == VARIABLE
