"""What operators ask of edges over REST, and how the list of edges tells of it; on the fake and the real store."""

from datetime import UTC, datetime, timedelta

import pytest

from datamodel.command import Command
from datamodel.scheduling.service import config_path
from tests.gateway import Gateway
from tests.graph import SYSTEM, done, new_edge, present

URL = "/v1/edges/s/e"
CONFIG = config_path("s", "e")


async def test_an_edge_is_cordoned_and_used_again(gateway: Gateway) -> None:
    await new_edge(gateway.store)
    for verb, intent in (("cordon", "cordon"), ("drain", "drain"), ("uncordon", "use")):
        answer = await gateway.client.post(f"{URL}/{verb}")
        assert (answer.status_code, answer.json()["spec"]) == (202, {"intent": intent})
        version = (await present(gateway.store, CONFIG)).version
        assert answer.headers["ETag"] == f'"{version}"'
        assert (await gateway.client.post(f"{URL}/{verb}")).status_code == 202
        assert (await present(gateway.store, CONFIG)).version == version, "it is asked so already"


async def test_an_edge_is_read_as_it_is_listed(gateway: Gateway) -> None:
    await new_edge(gateway.store)
    listed = (await gateway.client.get("/v1/edges")).json()["items"]
    assert (await gateway.client.get(URL)).json() == listed[0]
    assert listed[0]["free"]["cpu"] == 1.0
    assert (await gateway.client.get("/v1/edges/s/nobody")).status_code == 404


async def test_a_drained_edge_may_be_given_time_which_it_has_no_more_when_it_is_used_again(gateway: Gateway) -> None:
    await new_edge(gateway.store)
    before = datetime.now(UTC)
    spec = (await gateway.client.post(f"{URL}/drain", params={"graceS": "600"})).json()["spec"]
    granted = datetime.fromisoformat(spec["drainBy"]) - timedelta(seconds=600)
    assert before <= granted <= datetime.now(UTC)
    assert (await gateway.client.post(f"{URL}/uncordon")).json()["spec"] == {"intent": "use"}


async def test_it_is_asked_once_for_a_key_and_only_of_the_version_that_is_meant(gateway: Gateway) -> None:
    await new_edge(gateway.store)
    for _ in range(2):
        answer = await gateway.client.post(f"{URL}/drain?graceS=600", headers={"Idempotency-Key": "k"})
        assert answer.status_code == 202
    drained = (await present(gateway.store, CONFIG)).version
    assert answer.headers["ETag"] == f'"{drained}"'
    for etag in ('"1"', '"1", "2"'):
        refused = await gateway.client.post(f"{URL}/uncordon", headers={"If-Match": etag})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (412, "If-Match")
    assert (await present(gateway.store, CONFIG)).version == drained
    for etag in (f'"{drained}"', "*"):
        for _ in range(2):
            again = {"If-Match": etag, "Idempotency-Key": f"u{etag}"}
            assert (await gateway.client.post(f"{URL}/uncordon", headers=again)).status_code == 202


async def test_a_document_that_is_applied_leaves_what_was_asked_for_by_a_verb(gateway: Gateway) -> None:
    await new_edge(gateway.store)
    await gateway.client.put(f"/v1{CONFIG.rpartition('/edges/')[0]}", json={})
    drain = {"spec": {"intent": "drain", "drainBy": "2030-01-31T12:00:00Z"}}
    assert (await gateway.client.put(f"/v1{CONFIG}", json=drain)).status_code == 201
    assert (await gateway.client.post(f"{URL}/uncordon")).json()["spec"] == {"intent": "use"}
    assert (await gateway.client.post(f"{URL}/cordon")).json()["spec"] == {"intent": "cordon"}
    assert (await gateway.client.put(f"/v1{CONFIG}", json={})).json()["spec"] == {"intent": "cordon"}


async def test_the_list_tells_what_is_asked_of_each_edge_and_how_far_that_is(gateway: Gateway) -> None:
    await new_edge(gateway.store, "e")
    await new_edge(gateway.store, "f")
    await gateway.client.post(f"{URL}/drain")
    await done(gateway.store, Command("patchStatus", CONFIG, {"phase": "draining"}), actor=SYSTEM)
    items = (await gateway.client.get("/v1/edges")).json()["items"]
    service = {item["metadata"]["name"]: item["service"] for item in items}
    assert service == {"e": {"intent": "drain", "phase": "draining"}, "f": {"intent": "use", "phase": "open"}}


async def test_the_list_of_a_moment_tells_what_was_asked_then_and_of_nothing_that_is_so_now(gateway: Gateway) -> None:
    await new_edge(gateway.store)
    await gateway.client.post(f"{URL}/cordon")
    then = await gateway.position()
    await gateway.client.post(f"{URL}/drain")
    (past,) = (await gateway.client.get("/v1/edges", params={"asOf": str(then)})).json()["items"]
    assert (past["service"]["intent"], "used" in past, "free" in past) == ("cordon", False, False)
    (now,) = (await gateway.client.get("/v1/edges")).json()["items"]
    assert (now["service"]["intent"], "used" in now, "free" in now) == ("drain", True, True)


async def test_a_page_is_as_long_as_of_every_list(gateway: Gateway) -> None:
    for number in range(101):
        await new_edge(gateway.store, f"e{number}")
    first = (await gateway.client.get("/v1/edges")).json()
    rest = (await gateway.client.get("/v1/edges", params={"cursor": first["cursor"]})).json()
    assert (len(first["items"]), len(rest["items"]), rest["cursor"]) == (100, 1, None)


@pytest.mark.parametrize(
    ("url", "status", "pointer"),
    [
        ("/v1/edges/s/none/cordon", 404, ""),
        ("/v1/edges/s/No!/cordon", 404, ""),
        (f"{URL}/drain?graceS=-1", 422, "?graceS"),
        (f"{URL}/drain?graceS=99999999", 422, "?graceS"),
        (f"{URL}/drain?grace=1", 422, "?grace"),
        (f"{URL}/cordon?graceS=1", 422, "?graceS"),
    ],
)
async def test_what_cannot_be_asked_is_named_and_nothing_is_written(
    gateway: Gateway, url: str, status: int, pointer: str
) -> None:
    await new_edge(gateway.store)
    before = await gateway.position()
    answer = await gateway.client.post(url)
    assert answer.status_code == status
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert await gateway.position() == before
