"""The page on using the graph says what is so: its code runs, on the page on declaring's model."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from datamodel.command import Command
from datamodel.errors import Conflict
from datamodel.loading import load_model
from datamodel.seeds import seed
from tests.graph import done, memory_store
from tests.segments import SIZE, in_small_segments

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


async def test_the_code_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bakery.py").write_text(blocks("declaring.md")[0])
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "bakery", raising=False)
    store = memory_store(load_model("bakery"))
    await seed(store)
    page: dict[str, Any] = {}
    for block in blocks("graph.md"):
        exec(block, page)
    await page["order"](store)
    then = (await store.head()).at
    await done(store, Command("patchSpec", f"{page['STONE']}/loaves/first", {"grams": 1000}), actor=page["ANN"])
    await page["look"](store, then)
    said = capsys.readouterr().out
    assert said.splitlines()[:2] == ["['/bakery/ovens/stone/loaves/first']", "1"]
    assert "'grams': 900" in said.splitlines()[2]
    assert "Difference(path='/bakery/ovens/stone/loaves/first'" in said
    assert "Seen(what='modified'" in said
    last = await store.event_id(5)
    assert said.splitlines()[-1] == f"Bookmark(position=5, event='{last}')"
    with pytest.raises(Conflict):
        await page["order"](store)
    bought = Command("create", f"{page['STONE']}/loaves/next", {"flour": "rye", "grams": 500})
    await done(store, bought, actor=page["ANN"], cause="request:r-1", correlation="order-18")
    position = (await store.head()).position
    risen = Command("patchSpec", bought.path, {"grams": 600})
    await done(store, risen, actor=page["ANN"], cause=f"event:{position}")
    await page["follow"](store, bought.path)
    await page["why"](store, bought.path)
    created, changed, began = capsys.readouterr().out.splitlines()
    assert created.endswith("created /bakery/ovens/stone/loaves/next by ann because of request:r-1")
    assert changed.endswith(f"specChanged /bakery/ovens/stone/loaves/next by ann because of event:{position}")
    assert began == "it began with request:r-1"
    await in_small_segments(store)
    for grams in range(SIZE + 1):
        await done(
            store, Command("patchSpec", f"{page['STONE']}/loaves/first", {"grams": 100 + grams}), actor=page["ANN"]
        )
    (tmp_path / "files").mkdir()
    await page["forget"](store, (await store.head()).at, tmp_path / "files")
    said = capsys.readouterr().out
    assert said.splitlines()[0] == "['events-1-7.jsonl.gz', 'events-8-14.jsonl.gz']"
    assert "/bakery/ovens/stone" in said.splitlines()[1]
    assert said.splitlines()[2:] == ["the graph is kept from position 15 on, not as of 14"]
