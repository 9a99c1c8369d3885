"""Lists of any kind over REST: selectors, orders, the past, and cursors that know their log; over the fake and the real."""

from typing import Any

import pytest

from datamodel.command import Command
from datamodel.seeds import seed
from tests.gateway import Gateway, open_gateway
from tests.graph import JOBS, STEPS, SYSTEM, done, job, memory_store, new_edge, new_job, place

URL = f"/v1{JOBS}"


async def names(gateway: Gateway, url: str = URL, **parameters: Any) -> list[str]:
    answer = await gateway.client.get(url, params=parameters)
    assert answer.status_code == 200, answer.text
    return [item["metadata"]["name"] for item in answer.json()["items"]]


async def test_a_list_is_what_its_selectors_mean(gateway: Gateway) -> None:
    for name, labels in (("a", {"team": "red"}), ("b", {"team": "blue"}), ("c", {})):
        await done(gateway.store, Command("create", f"{JOBS}/{name}", {"steps": STEPS}, labels))
    await done(gateway.store, Command("patchStatus", f"{JOBS}/b", {"phase": "running"}), actor=SYSTEM)
    for url in (URL, "/v1/jobs"):
        assert await names(gateway, url, labelSelector="team in (red,blue)") == ["a", "b"]
        assert await names(gateway, url, labelSelector="!team") == ["c"]
        assert await names(gateway, url, fieldSelector="status.phase!=running") == ["a", "c"]
        assert await names(gateway, url, fieldSelector="metadata.name=c") == ["c"]
        assert await names(gateway, url, phase="pending", labelSelector="team") == ["a"]
        assert await names(gateway, url, sort="-createdAt") == ["c", "b", "a"]
        assert await names(gateway, url, sort="version") == ["a", "c", "b"]


async def test_what_has_a_phase_is_found_by_it_where_that_is_not_selectable(gateway: Gateway) -> None:
    await new_edge(gateway.store)
    running = await place(gateway.store, await new_job(gateway.store, "j"))
    attempts = "/v1/desired-config/sites/s/edges/e/attempts"
    assert await names(gateway, attempts, phase="pending") == [running.rpartition("/")[2]]
    assert await names(gateway, attempts, phase="running") == []


async def test_the_past_is_listed(gateway: Gateway) -> None:
    await done(gateway.store, job("a"))
    then = await gateway.position()
    await done(gateway.store, job("b"))
    at = (await gateway.store.head()).at
    assert await names(gateway, asOf=then) == ["a"]
    assert await names(gateway, asOf=at.isoformat()) == ["a", "b"]
    assert await names(gateway, asOf="2000-01-01T00:00:00Z", url="/v1/jobs") == []
    before = await gateway.client.get(URL, params={"asOf": "0"})
    assert before.status_code == 404  # its group was not there yet
    ahead = await gateway.client.get(URL, params={"asOf": str(then + 1_000)})
    assert (ahead.status_code, ahead.json()["errors"][0]["pointer"]) == (422, "?asOf")


async def test_all_pages_show_the_position_of_the_first(gateway: Gateway) -> None:
    await done(gateway.store, *(job(name) for name in "abc"))
    first = (await gateway.client.get(URL, params={"limit": 2, "sort": "-createdAt"})).json()
    await done(gateway.store, job("d"))
    second = await gateway.client.get(URL, params={"limit": 2, "sort": "-createdAt", "cursor": first["cursor"]})
    page = second.json()
    assert [item["metadata"]["name"] for item in first["items"] + page["items"]] == ["c", "b", "a"]
    assert (page["cursor"], page["position"]) == (None, first["position"])


@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [
        ({"labelSelector": "a=b,,"}, "?labelSelector"),
        ({"fieldSelector": "spec.chunks=1"}, "?fieldSelector"),
        ({"sort": "colour"}, "?sort"),
        ({"sort": ""}, "?sort"),
        ({"limit": "0"}, "?limit"),
        ({"cursor": "x"}, "?cursor"),
        ({"asOf": "yesterday"}, "?asOf"),
        ({"asOf": "2026-01-01T00:00:00"}, "?asOf"),
        ({"phase": "lost"}, "?phase"),
        ({"asOf": "9999-12-31T23:59:59-23:59"}, "?asOf"),
        ({"asOf": "0001-01-01T00:00:00+23:59"}, "?asOf"),
        ({"fieldSelector": "metadata.name=\x00"}, "?fieldSelector"),
        ({"watch": "true", "fieldSelector": "metadata.name=\x00"}, "?fieldSelector"),
        ({"watch": "1"}, "?watch"),
        ({"watch": "true", "sort": "path"}, "?sort"),
        ({"colour": "red"}, "?colour"),
    ],
)
async def test_a_parameter_that_makes_no_sense_is_named(
    gateway: Gateway, parameters: dict[str, str], pointer: str
) -> None:
    answer = await gateway.client.get(URL, params=parameters)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_a_list_of_a_log_that_was_put_back_is_gone_and_says_how_to_go_on() -> None:
    store = memory_store()
    await seed(store)
    copy = store.copy()
    async with open_gateway(store) as gateway:
        await done(store, job("a"), job("b"))
        first = (await gateway.client.get(URL, params={"limit": 1})).json()
        store.put_back(copy)
        await done(store, *(job(f"c{number}") for number in range(4)))
        answer = await gateway.client.get(URL, params={"limit": 1, "cursor": first["cursor"]})
        assert answer.status_code == 410
        problem = answer.json()
        assert problem["errors"][0]["pointer"] == "?cursor"
        assert await names(gateway, cursor=problem["cursor"]) == ["c0", "c1", "c2", "c3"]
