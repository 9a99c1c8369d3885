"""Writing nodes of any kind over REST: patches, conditions, keys, dry runs and previews; over the fake and the real."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from datamodel.postgres.store import PostgresStore
from datamodel.seeds import seed
from tests import garden
from tests.databases import Databases
from tests.gateway import Gateway, open_gateway
from tests.graph import memory_store

BEDS = "/v1/garden/beds"
ROSE = f"{BEDS}/b/flowers/rose"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
_HARMLESS = ({"op": "test", "path": "/spec/heightCm", "value": 30},)


@pytest_asyncio.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """With a bed and a rose of 30 cm, which is labelled."""
    store = memory_store(garden.MODEL)
    await seed(store)
    async with open_gateway(store) as gateway:
        await gateway.client.put(f"{BEDS}/b", json={})
        made = await gateway.client.put(ROSE, json={"metadata": {"labels": {"a": "1", "b": "2"}}})
        assert made.status_code == 201
        yield gateway


async def patch(
    gateway: Gateway, body: Any, media_type: str = MERGE, headers: dict[str, str] | None = None, url: str = ROSE
) -> httpx.Response:
    headers = {"Content-Type": media_type, **(headers or {})}
    return await gateway.client.patch(
        url, content=httpx.Request("POST", "http://x", json=body).content, headers=headers
    )


async def test_a_merge_patch_changes_what_it_names(gateway: Gateway) -> None:
    answer = await patch(gateway, {"spec": {"heightCm": 80}, "metadata": {"labels": {"a": None, "c": "3"}}})
    assert answer.status_code == 200, answer.text
    read = (await gateway.client.get(ROSE)).json()
    assert answer.json() == read
    assert (read["spec"], read["metadata"]["labels"]) == ({"colour": "red", "heightCm": 80}, {"b": "2", "c": "3"})
    assert (await patch(gateway, {"spec": {"heightCm": None}})).json()["spec"]["heightCm"] == 30
    assert (await patch(gateway, {"metadata": {"labels": None}})).json()["metadata"]["labels"] == {}


async def test_a_json_patch_changes_what_it_names(gateway: Gateway) -> None:
    operations = [
        {"op": "test", "path": "/spec/colour", "value": "red"},
        {"op": "replace", "path": "/spec/heightCm", "value": 70},
    ]
    assert (await patch(gateway, operations, JSON_PATCH)).json()["spec"]["heightCm"] == 70
    labelled = [
        {"op": "move", "from": "/metadata/labels/a", "path": "/metadata/labels/z"},
        {"op": "replace", "path": "/spec/colour", "value": "white"},
    ]
    answer = (await patch(gateway, labelled, JSON_PATCH)).json()
    assert (answer["spec"]["colour"], answer["metadata"]["labels"]) == ("white", {"b": "2", "z": "1"})


@pytest.mark.parametrize(
    ("media_type", "body", "status", "pointer"),
    [
        (MERGE, {"spec": {"heightCm": 0}}, 422, "/spec/heightCm"),
        (MERGE, {"spec": []}, 422, "/spec"),
        (MERGE, {"status": {}}, 422, "/status"),
        (MERGE, {"metadata": {"name": "x"}}, 422, "/metadata/name"),
        (MERGE, {"metadata": {"labels": {"a": 1}}}, 422, "/metadata/labels/a"),
        (MERGE, [], 422, ""),
        (JSON_PATCH, {}, 422, ""),
        (JSON_PATCH, ["x"], 422, "/0"),
        (JSON_PATCH, [{"op": "remove", "path": "/status"}], 422, "/0"),
        (JSON_PATCH, [{"op": "add", "path": "/spec/heightCm"}], 422, "/0"),
        (JSON_PATCH, [{"op": "odd", "path": "/metadata/labels/a"}], 422, "/0"),
        (JSON_PATCH, [{"op": "replace", "path": "/spec/colour", "value": "blue"}], 422, "/0/value"),
        (JSON_PATCH, [{"op": "remove", "path": "/spec/none"}], 409, "/0"),
        (JSON_PATCH, [{"op": "add", "path": "/spec", "value": {"heightCm": 0}}], 422, "/0/value/heightCm"),
        (JSON_PATCH, [*_HARMLESS, {"op": "add", "path": "/metadata/labels/c", "value": "?"}], 422, "/1/value"),
        (JSON_PATCH, [{"op": "copy", "from": "/spec/heightCm", "path": "/spec/colour"}, *_HARMLESS], 422, "/0"),
        (JSON_PATCH, [{"op": "test", "path": "/spec/colour", "value": "white"}], 409, "/0"),
        ("application/json", {"spec": {}}, 415, ""),
    ],
)
async def test_what_is_wrong_with_a_patch_is_named(
    gateway: Gateway, media_type: str, body: Any, status: int, pointer: str
) -> None:
    before = await gateway.position()
    answer = await patch(gateway, body, media_type)
    assert answer.status_code == status, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert await gateway.position() == before


async def test_what_refuses_a_patch_shows_the_place_as_it_was_sent_and_nothing_of_the_rest(gateway: Gateway) -> None:
    for operations, place in (
        ([{"op": "remove", "path": "/spec/none"}], "/spec/none"),
        ([{"op": "replace", "path": "/spec/none/x", "value": 1}], "/spec/none/x"),
        ([{"op": "replace", "path": "/metadata/labels/none/x", "value": 1}], "/metadata/labels/none/x"),
    ):
        answer = await patch(gateway, operations, JSON_PATCH)
        (message,) = (error["message"] for error in answer.json()["errors"])
        assert answer.status_code == 409
        assert message == f"{operations[0]['op']} '{place}': the present has no such place"


async def test_a_parent_that_is_missing_is_in_nothing_that_was_sent(gateway: Gateway) -> None:
    posted = await gateway.client.post(f"{BEDS}/none/flowers", json={"metadata": {"name": "x"}})
    put = await gateway.client.put(f"{BEDS}/none/flowers/x", json={})
    for answer in (posted, put):
        assert (answer.status_code, [error["pointer"] for error in answer.json()["errors"]]) == (404, [""])


async def test_patches_of_labels_side_by_side_lose_nothing(gateway: Gateway) -> None:
    many = [patch(gateway, {"metadata": {"labels": {f"n{number}": "x"}}}) for number in range(4)]
    assert [answer.status_code for answer in await asyncio.gather(*many)] == [200] * 4
    assert len((await gateway.client.get(ROSE)).json()["metadata"]["labels"]) == 6


async def test_a_condition_holds_or_nothing_is_done(gateway: Gateway) -> None:
    old = (await gateway.client.get(ROSE)).headers["etag"]
    new = (await patch(gateway, {"spec": {"heightCm": 40}}, headers={"If-Match": old})).headers["etag"]
    before = await gateway.position()
    labels = {"metadata": {"labels": {"c": "3"}}}
    for answer in (
        await gateway.client.put(ROSE, json={}, headers={"If-Match": old}),
        await patch(gateway, {"spec": {"heightCm": 50}}, headers={"If-Match": old}),
        await patch(gateway, labels, headers={"If-Match": old}),
        await patch(gateway, labels, headers={"If-Match": '"odd"'}),
        await gateway.client.delete(ROSE, headers={"If-Match": f'{old}, "7777"'}),
        await gateway.client.put(f"{BEDS}/c", json={}, headers={"If-Match": "*"}),
        await gateway.client.put(ROSE, json={}, headers={"If-None-Match": "*"}),
    ):
        assert answer.status_code == 412, answer.text
        assert answer.json()["errors"][0]["pointer"] in ("If-Match", "If-None-Match")
    assert await gateway.position() == before
    assert (await patch(gateway, labels, headers={"If-Match": f"{old}, {new}"})).status_code == 200
    assert (await gateway.client.put(f"{BEDS}/c", json={}, headers={"If-None-Match": "*"})).status_code == 201
    assert (await gateway.client.delete(ROSE, headers={"If-Match": "*"})).status_code == 204


async def test_what_is_known_is_not_sent_again(gateway: Gateway) -> None:
    etag = (await gateway.client.get(ROSE)).headers["etag"]
    for url in (ROSE, f"{ROSE}/status"):
        same = await gateway.client.get(url, headers={"If-None-Match": f'"1", W/{etag}'})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    await patch(gateway, {"spec": {"heightCm": 40}})
    assert (await gateway.client.get(ROSE, headers={"If-None-Match": etag})).status_code == 200


async def test_a_request_that_is_sent_again_with_its_key_does_nothing_again(gateway: Gateway) -> None:
    key = {"Idempotency-Key": "k"}
    document = {"metadata": {"name": "tulip"}}
    flowers = f"{BEDS}/b/flowers"
    first = await gateway.client.post(flowers, json=document, headers=key)
    before = await gateway.position()
    again = await gateway.client.post(flowers, json=document, headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
    other = await gateway.client.delete(f"{flowers}/tulip", headers=key)
    assert (other.status_code, other.json()["errors"][0]["pointer"]) == (422, "Idempotency-Key")
    assert await gateway.position() == before
    for _ in range(2):
        gone = await gateway.client.delete(f"{flowers}/tulip", headers={"Idempotency-Key": "d"})
        assert gone.status_code == 204


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        (JSON_PATCH, [{"op": "remove", "path": "/metadata/labels/a"}]),
        (
            JSON_PATCH,
            [
                {"op": "test", "path": "/spec/heightCm", "value": 30},
                {"op": "add", "path": "/metadata/labels/c", "value": "3"},
                {"op": "replace", "path": "/spec/heightCm", "value": 31},
            ],
        ),
        (MERGE, {"metadata": {"labels": {"c": "3"}}}),
        (MERGE, {"spec": {"heightCm": 31}}),
    ],
)
@pytest.mark.parametrize("condition", ["{etag}", '{etag}, "7777"', "*", ""])
async def test_a_patch_is_judged_by_what_was_so_when_it_came_first(
    gateway: Gateway, media_type: str, body: Any, condition: str
) -> None:
    etag = (await gateway.client.get(ROSE)).headers["etag"]
    headers = {"Idempotency-Key": "k", **({"If-Match": condition.format(etag=etag)} if condition else {})}
    first = await patch(gateway, body, media_type, headers)
    before = await gateway.position()
    again = await patch(gateway, body, media_type, headers)
    assert (first.status_code, again.status_code) == (200, 200), again.text
    assert again.json() == first.json()
    assert await gateway.position() == before
    other = await patch(gateway, {"metadata": {"labels": {"c": "4"}}}, headers={"Idempotency-Key": "k"})
    assert (other.status_code, other.json()["errors"][0]["pointer"]) == (422, "Idempotency-Key")


@pytest.mark.parametrize("condition", ["{etag}", '{etag}, "7777"', "*"])
async def test_so_is_a_deletion(gateway: Gateway, condition: str) -> None:
    etag = (await gateway.client.get(ROSE)).headers["etag"]
    headers = {"Idempotency-Key": "k", "If-Match": condition.format(etag=etag)}
    for _ in range(2):
        assert (await gateway.client.delete(ROSE, headers=headers)).status_code == 204


async def test_a_dry_run_tells_what_would_be_and_writes_nothing(gateway: Gateway) -> None:
    before = await gateway.position()
    dry = {"dryRun": "true"}
    made = await gateway.client.post(BEDS, json={"metadata": {"name": "x"}}, params=dry)
    assert (made.status_code, made.json()["metadata"]["name"]) == (200, "x")
    put = await gateway.client.put(ROSE, json={"spec": {"heightCm": 90}}, params=dry)
    assert (put.status_code, put.json()["spec"]["heightCm"]) == (200, 90)
    patched = await patch(gateway, {"spec": {"heightCm": 91}}, url=f"{ROSE}?dryRun=true")
    assert (patched.status_code, patched.json()["spec"]["heightCm"]) == (200, 91)
    refused = await gateway.client.post(BEDS, json={"metadata": {"name": "b"}}, params=dry)
    assert refused.status_code == 409
    assert (await gateway.client.delete(ROSE, params=dry)).json()["errors"][0]["pointer"] == "?dryRun"
    assert await gateway.position() == before


async def test_a_preview_tells_what_a_deletion_would_do(databases: Databases) -> None:
    url = await databases.create()
    async with PostgresStore(url, garden.MODEL) as store, open_gateway(store) as gateway:
        await seed(store)
        await gateway.client.put(f"{BEDS}/b", json={})
        for name in ("rose", "tulip"):
            await gateway.client.put(f"{BEDS}/b/flowers/{name}", json={})
        before = await gateway.position()
        preview = await gateway.client.delete(f"{BEDS}/b", params={"preview": "true"})
        assert preview.status_code == 200
        paths = ["/garden/beds/b", "/garden/beds/b/flowers/rose", "/garden/beds/b/flowers/tulip"]
        assert preview.json() == {"deleted": paths, "waiting": [], "unlinked": []}
        assert await gateway.position() == before
    await databases.drop(url)


async def test_what_waits_for_somebody_is_previewed_too() -> None:
    store = memory_store()
    await seed(store)
    async with open_gateway(store) as gateway:
        group = "/v1/config/job-groups/default"
        step = {"name": "s", "image": "i"}
        await gateway.client.post(f"{group}/jobs", json={"metadata": {"name": "j"}, "spec": {"steps": [step]}})
        preview = (await gateway.client.delete(group, params={"preview": "true"})).json()
        waiting = ["/config/job-groups/default", "/config/job-groups/default/jobs/j"]
        assert preview == {"deleted": [], "waiting": waiting, "unlinked": []}
        for _ in range(2):  # a deletion that waits waits at the second time too
            answer = await gateway.client.delete(f"{group}/jobs/j", headers={"Idempotency-Key": "k"})
            assert (answer.status_code, answer.json()["metadata"]["finalizers"]) == (202, ["attempts"])


async def test_singletons_are_patched_and_other_planes_are_not(gateway: Gateway) -> None:
    shed = "/v1/garden/shed"
    await gateway.client.put(shed, json={})
    assert (await patch(gateway, {"spec": {"tools": 5}}, url=shed)).json()["spec"] == {"tools": 5}
    assert (await patch(gateway, {}, url="/v1/garden")).status_code == 405
