"""The past over REST: a node as it was, its events, and what is different; over the fake and the real."""

from typing import Any

import pytest

from datamodel.command import Command
from datamodel.seeds import seed
from tests.gateway import Gateway, open_gateway
from tests.graph import JOBS, SYSTEM, done, job, memory_store

URL = f"/v1{JOBS}/j"


async def lived(gateway: Gateway) -> list[int]:
    """A job that was made, patched, ran, and went. The positions."""
    found: list[int] = []
    patch = Command("patchSpec", f"{JOBS}/j", {"retries": 7})
    for command, actor in (
        (job("j"), None),
        (patch, None),
        (Command("patchStatus", f"{JOBS}/j", {"phase": "running"}), SYSTEM),
        (Command("delete", f"{JOBS}/j"), None),
        (Command("finalize", f"{JOBS}/j", {"finalizer": "attempts"}), SYSTEM),
    ):
        await done(gateway.store, command, **({"actor": actor} if actor is not None else {}))
        found.append(await gateway.position())
    return found


async def get(gateway: Gateway, url: str, **parameters: Any) -> Any:
    answer = await gateway.client.get(url, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_node_is_read_as_it_was(gateway: Gateway) -> None:
    made, patched, ran, *_ = await lived(gateway)
    assert (await gateway.client.get(URL)).status_code == 404
    assert (await gateway.client.get(URL, params={"asOf": made - 1})).status_code == 404
    assert (await get(gateway, URL, asOf=made))["spec"]["retries"] == 2
    assert (await get(gateway, URL, asOf=patched))["spec"]["retries"] == 7
    assert (await get(gateway, f"{URL}/status", asOf=ran))["phase"] == "running"


async def test_a_history_is_what_happened(gateway: Gateway) -> None:
    await lived(gateway)
    ops = ["created", "specChanged", "statusChanged", "deletionRequested", "finalized", "deleted"]
    newest = await get(gateway, f"{URL}/history")
    assert [event["op"] for event in newest["items"]] == ops[::-1]
    assert (newest["cursor"], newest["keptFrom"]) == (None, 0)
    assert newest["items"][-2]["part"]["spec"]["retries"] == 7
    found: list[str] = []
    page: dict[str, Any] = {"cursor": ""}
    while page["cursor"] is not None:
        page = await get(gateway, f"{URL}/history", sort="position", limit=4, cursor=page["cursor"])
        found += [event["op"] for event in page["items"]]
    assert found == ops
    page = await get(gateway, f"{URL}/history", limit=4)
    page = await get(gateway, f"{URL}/history", limit=4, cursor=page["cursor"])
    assert [event["op"] for event in page["items"]] == ops[1::-1]
    assert (await gateway.client.get(f"/v1{JOBS}/never/history")).status_code == 404
    assert [event["op"] for event in (await get(gateway, "/v1/config/history"))["items"]] == ["created"]


async def test_a_difference_is_what_has_become_of_it(gateway: Gateway) -> None:
    made, patched, ran, *_ = await lived(gateway)
    changed = await get(gateway, f"{URL}/diff", **{"from": made, "to": patched})
    (one,) = changed["items"]
    assert (one["change"], one["before"]["spec"]["retries"], one["after"]["spec"]["retries"]) == ("changed", 2, 7)
    assert (changed["from"], changed["to"]) == (made, patched)
    assert [one["change"] for one in (await get(gateway, f"{URL}/diff", **{"from": ran}))["items"]] == ["deleted"]
    assert (await get(gateway, f"{URL}/diff", **{"from": made, "to": made}))["items"] == []
    assert (await gateway.client.get(f"/v1{JOBS}/never/diff", params={"from": made})).status_code == 404


async def test_a_difference_of_all_below_comes_in_pages(gateway: Gateway) -> None:
    before = await gateway.position()
    await done(gateway.store, *(job(name) for name in "abc"))
    group, found = "/v1/config/job-groups/default/diff", list[str]()
    page: dict[str, Any] = {"cursor": ""}
    while page["cursor"] is not None:
        page = await get(gateway, group, **{"from": before, "below": "true", "limit": 2, "cursor": page["cursor"]})
        found += [one["path"] for one in page["items"]]
        await done(gateway.store, Command("patchSpec", f"{JOBS}/a", {"retries": len(found)}))
    assert found == [f"{JOBS}/{name}" for name in "abc"]
    assert (await get(gateway, group, **{"from": before}))["items"] == []


async def test_a_cursor_is_of_one_query(gateway: Gateway) -> None:
    before = await gateway.position()
    await done(gateway.store, *(job(name) for name in "abc"))
    await done(gateway.store, Command("patchSpec", f"{JOBS}/a", {"retries": 9}))
    group, one = "/v1/config/job-groups/default", f"/v1{JOBS}/a"
    below = {"from": before, "below": "true"}
    difference = (await get(gateway, f"{group}/diff", **below, limit=1))["cursor"]
    events = (await get(gateway, f"{one}/history", limit=1))["cursor"]
    for url, asked in (
        (f"{group}/diff", {"from": before, "cursor": difference}),
        ("/v1/config/diff", {**below, "cursor": difference}),
        (f"{one}/history", {"sort": "position", "cursor": events}),
        (f"/v1{JOBS}/b/history", {"cursor": events}),
    ):
        answer = await gateway.client.get(url, params=asked)
        found = [{"pointer": "?cursor", "message": "this cursor belongs to another query"}]
        assert (answer.status_code, answer.json()["errors"]) == (422, found)


@pytest.mark.parametrize(
    ("url", "parameters", "pointer"),
    [
        (f"{URL}/history", {"limit": "0"}, "?limit"),
        (f"{URL}/history", {"sort": "colour"}, "?sort"),
        (f"{URL}/history", {"cursor": "x"}, "?cursor"),
        (f"{URL}/diff", {}, "?from"),
        (f"{URL}/diff", {"from": "soon"}, "?from"),
        (f"{URL}/diff", {"from": "3", "to": "2"}, "?to"),
        (f"{URL}/diff", {"from": "1", "to": "99999"}, "?to"),
        (f"{URL}/diff", {"from": "1", "below": "1"}, "?below"),
        (f"{URL}/diff", {"from": "1", "cursor": "x"}, "?cursor"),
        (f"{URL}/diff", {"from": "1", "colour": "x"}, "?colour"),
        (URL, {"asOf": "soon"}, "?asOf"),
        (URL, {"colour": "x"}, "?colour"),
    ],
)
async def test_a_parameter_that_makes_no_sense_is_named(
    gateway: Gateway, url: str, parameters: dict[str, str], pointer: str
) -> None:
    answer = await gateway.client.get(url, params=parameters)
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_pages_of_the_past_of_another_log_are_gone() -> None:
    store = memory_store()
    await seed(store)
    copy = store.copy()
    async with open_gateway(store) as gateway:
        before = await gateway.position()
        await done(store, *(job(name) for name in "abc"))
        await done(store, Command("patchSpec", f"{JOBS}/a", {"retries": 9}))
        group = {"from": before, "below": "true", "limit": 1}
        differences = await get(gateway, "/v1/config/job-groups/default/diff", **group)
        events = await get(gateway, f"/v1{JOBS}/a/history", limit=1)
        store.put_back(copy)
        await done(store, *(job(name) for name in "axyzuvw"))
        for url, cursor in (
            ("/v1/config/job-groups/default/diff", {**group, "cursor": differences["cursor"]}),
            (f"/v1{JOBS}/a/history", {"limit": 1, "cursor": events["cursor"]}),
        ):
            answer = await gateway.client.get(url, params=cursor)
            assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (410, "?cursor")
