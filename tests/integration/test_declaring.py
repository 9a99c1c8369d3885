"""The page on declaring says what is so: its model is loaded, served by its own commands, and evolves as it says."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from datamodel.command import Command
from datamodel.loading import load_model
from datamodel.model import Model
from datamodel.seeds import seed
from sim.chaos.machine import ROOT
from tests.gateway import open_gateway
from tests.graph import done, memory_store

PAGE = (ROOT / "docs" / "declaring.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def bakery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "bakery.py").write_text(BLOCKS[0])
    monkeypatch.delitem(sys.modules, "bakery", raising=False)
    return load_model("bakery")


async def test_the_commands_of_the_page_answer(bakery: Model) -> None:
    store = memory_store(bakery)
    await seed(store)
    (created, queried) = [json.loads(found) for found in re.findall(r"--data '(.*?)'", PAGE)]
    loaves = "/v1/bakery/ovens/stone/loaves"
    async with open_gateway(store) as gateway:
        assert (await gateway.client.post(loaves, json=created)).status_code == 201
        (selected,) = re.findall(r"http://127.0.0.1:8080(/v1/\S+\?\S+)'", PAGE)
        assert selected.startswith(loaves)
        listed = (await gateway.client.get(selected)).json()
        assert [item["spec"] for item in listed["items"]] == [{"flour": "rye", "grams": 750}]
        nothing = (await gateway.client.get(selected.replace("=rye", "=wheat"))).json()
        assert nothing["items"] == []
        found, single = [
            (await gateway.client.post("/graphql", json={"query": query})).json()["data"]
            for query in re.findall(r"`(\{(?:kinds|node).*?\})`", PAGE)
        ]
        assert found == {"kinds": {"loaves": {"edges": [{"node": {"path": f"{loaves.removeprefix('/v1')}/first"}}]}}}
        assert single == {"node": {"spec": {"grams": 750}}}
        (edge,) = (await gateway.client.post("/graphql", json=queried)).json()["data"]["root"]["bakery"]["ovens"][
            "edges"
        ]
        assert edge["node"]["loaves"]["edges"][0]["node"] == {
            "name": "first",
            "spec": {"grams": 750},
            "status": {"phase": "waiting"},
        }
        created["metadata"]["name"], created["spec"]["grams"] = "small", 50
        refused = (await gateway.client.post(loaves, json=created)).json()
        assert refused["errors"][0]["pointer"] == "/spec/grams"


async def test_the_program_of_the_page_bakes(bakery: Model) -> None:
    store = memory_store(bakery)
    await seed(store)
    paths = [f"/bakery/ovens/stone/loaves/{name}" for name in ("first", "second")]
    await done(store, *(Command("create", path, {"grams": 500}) for path in paths))
    program: dict[str, Any] = {"__name__": "bake"}
    exec(BLOCKS[1], program)
    await program["bake"](store)
    assert [node.phase for node in (await store.nodes(paths)).values()] == ["baking", "baking"]
    head = await store.head()
    await program["bake"](store)
    assert await store.head() == head


def test_the_message_of_the_page_is_the_one_that_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "burnt.py").write_text(
        BLOCKS[0].replace('"baking": frozenset({"done"})', '"baking": frozenset({"burnt"})')
    )
    with pytest.raises(Exception, match="is no phase") as raised:
        load_model("burnt")
    line = BLOCKS[0].splitlines().index("class Loaf(Kind):") + 1
    assert (
        str(raised.value)
        == f"burnt.py:{line}: Loaf.phases: 'burnt' is no phase of its Status, which has waiting, baking, done"
    )
    assert str(raised.value).replace("burnt.py", "bakery.py") in PAGE


def test_the_change_of_the_page_suits_what_was_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, kind = re.findall(r"class LoafSpec.*?(?=\n\n\n)|    version = 2.*", BLOCKS[2], re.DOTALL)
    model = re.sub(r"class LoafSpec.*?(?=\n\n\n)", lambda _: spec, BLOCKS[0], flags=re.DOTALL)
    model = re.sub(r"    selectable = .*?examples = .*?\n", lambda _: kind, model, flags=re.DOTALL)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "bakery_later.py").write_text(model.replace("Column, Kind", "Kind, Upcast"))
    loaf = load_model("bakery_later").kinds["Loaf"]
    upcast = loaf.upcasts[1].spec({"flour": "rye", "grams": 750})
    assert loaf.Spec.model_validate(upcast).model_dump(by_alias=True) == upcast
    assert loaf.version == 2
