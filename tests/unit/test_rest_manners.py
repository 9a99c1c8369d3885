"""What every route has in common: addresses, methods, who may come in, and the document that describes it all."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from tests.gateway import Gateway, open_gateway, serving
from tests.graph import memory_store, new_edge

GROUPS = "/v1/config/job-groups"
PAGES = "https://pages.example"


@pytest_asyncio.fixture(scope="module")
async def gateway() -> AsyncIterator[Gateway]:
    """Over the fake: nothing here is about what is stored."""
    store = memory_store()
    await seed(store)
    async with open_gateway(store) as gateway:
        yield gateway


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/v1",
        "/v1/nothing",
        "/v1/jobs/default",
        "/v1/jobs/default/absent",
        "/v1/jobs/default/%00",
        "/v1/jobs/A/b",
        "/v1/jobs/",
        f"{GROUPS}/absent",
        f"{GROUPS}/%00",
        f"{GROUPS}/%ff",
        f"{GROUPS}/a%2Fb",
        f"{GROUPS}/absent/jobs",
        f"{GROUPS}/default/jobs/absent",
        "/static/../settings.py",
        "/static/%2e%2e/settings.py",
    ],
)
async def test_what_is_not_there_is_a_problem(gateway: Gateway, address: str) -> None:
    answer = await gateway.client.get(address)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] == "Not Found"


async def test_a_wrong_method_says_which_are_right(gateway: Gateway) -> None:
    answer = await gateway.client.patch("/v1/jobs/default/j")
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["allow"] == "DELETE, GET, HEAD"


async def test_what_can_be_read_can_be_asked_for_its_headers_alone(gateway: Gateway) -> None:
    for address in ("/livez", "/v1/stats", f"{GROUPS}/default", "/v1/kinds", "/v1/edges", f"{GROUPS}/default?asOf=1"):
        plain = {"Accept-Encoding": "identity"}
        read = await gateway.client.get(address, headers=plain)
        asked = await gateway.client.head(address, headers=plain)
        assert (asked.status_code, asked.content) == (read.status_code, b"")
        for name in ("content-length", "content-type", "etag"):
            assert asked.headers.get(name) == read.headers.get(name)
    for address in (f"{GROUPS}?watch=true", "/v1/jobs?watch=true"):
        asked = await gateway.client.head(address)
        assert (asked.status_code, asked.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    async with open_gateway(memory_store()) as other, serving(other) as (_, client):
        for _ in range(2):  # on one connection: nothing of an answer is taken for the next one's
            assert (await client.head("/v1/jobs?watch=true")).status_code == 200
            assert int((await client.head("/openapi.json")).headers["content-length"]) > 10_000
            assert (await client.head("/v1/kinds")).headers["content-type"] == "application/json"
            assert (await client.get("/livez")).json() == {"status": "live"}
    assert (await gateway.client.head("/v1/jobs:abort")).status_code == 405
    assert (await gateway.client.head(f"{GROUPS}/none")).status_code == 404


@pytest.mark.parametrize(
    ("method", "address", "content", "status"),
    [
        ("GET", "/nothing", b"", 404),
        ("POST", "/v1/edges", b"", 405),
        ("POST", GROUPS, b"{" + b" " * 1024 * 1024 + b"}", 413),
        ("PATCH", f"{GROUPS}/default", b"{}", 415),
    ],
)
async def test_every_problem_points_at_something(
    gateway: Gateway, method: str, address: str, content: bytes, status: int
) -> None:
    answer = await gateway.client.request(
        method, address, content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == status
    assert answer.json()["errors"] == [{"pointer": "", "message": answer.json()["detail"]}]


async def test_long_answers_are_compressed_for_who_takes_that(gateway: Gateway) -> None:
    for accepted, encoding in (
        ("gzip", "gzip"),
        ("gzip;q=0.5", "gzip"),
        ("identity", None),
        ("gzip; q=0.0, br", None),
        ("gzip;q=0", None),
    ):
        answer = await gateway.client.get("/openapi.json", headers={"Accept-Encoding": accepted})
        assert answer.headers.get("content-encoding") == encoding
        assert answer.json()["openapi"]
    short = await gateway.client.get("/livez", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in short.headers


async def test_no_other_origin_is_allowed_anything(gateway: Gateway) -> None:
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "GET"}
    for method in ("OPTIONS", "GET"):
        answer = await gateway.client.request(method, "/v1/edges", headers=headers)
        assert answer.status_code == 403
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest_asyncio.fixture
async def shown() -> AsyncIterator[Gateway]:
    """With the pages of one other origin."""
    store = memory_store()
    await seed(store)
    async with open_gateway(store, origins=[PAGES]) as gateway:
        yield gateway


async def test_pages_of_an_origin_that_is_named_may_do_what_the_api_offers(shown: Gateway) -> None:
    asked = {
        "Origin": PAGES,
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "content-type,if-match",
        "Access-Control-Request-Private-Network": "true",
    }
    allowed = await shown.client.options(f"{GROUPS}/default", headers=asked)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == PAGES
    assert "PATCH" in allowed.headers["access-control-allow-methods"]
    assert allowed.headers["access-control-allow-private-network"] == "true"
    assert "access-control-allow-credentials" not in allowed.headers
    for address, status in ((f"{GROUPS}/default", 200), ("/v1/nothing", 404)):
        answer = await shown.client.get(address, headers={"Origin": PAGES})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, PAGES)
        assert "ETag" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    "origin", ["http://evil.example", f"{PAGES}.evil.example", f"{PAGES}:1", "null", "http://[::1]"]
)
async def test_pages_of_others_are_kept_out_all_the_same(shown: Gateway, origin: str) -> None:
    for method in ("OPTIONS", "GET", "POST"):
        headers = {"Origin": origin, "Access-Control-Request-Method": "GET", "Content-Type": "application/json"}
        answer = await shown.client.request(method, "/v1/jobs", headers=headers)
        assert answer.status_code == 403
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_a_preflight_for_what_the_api_does_not_take_is_refused(shown: Gateway) -> None:
    asked = {"Origin": PAGES, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    assert (await shown.client.options("/v1/jobs", headers=asked)).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost@evil.example"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "https://127.0.0.1:8080"},
        {"Origin": "null"},
    ],
)
async def test_web_pages_of_others_are_kept_out(gateway: Gateway, headers: dict[str, str]) -> None:
    for address in ("/v1/edges", "/graphql", "/livez", "/docs"):
        answer = await gateway.client.get(address, headers=headers)
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost"},
        {"Host": "LOCALHOST:8080"},
        {"Host": "127.0.0.1:1"},
        {"Host": "[::1]:8080"},
        {"Host": "localhost:8080", "Origin": "http://localhost:8080"},
    ],
)
async def test_programs_and_pages_of_this_machine_come_in(gateway: Gateway, headers: dict[str, str]) -> None:
    assert (await gateway.client.get("/v1/edges", headers=headers)).status_code == 200


async def test_a_parameter_that_no_route_declares_is_refused_before_anything_is_done(gateway: Gateway) -> None:
    document = (await gateway.client.get("/openapi.json")).json()
    position = await gateway.position()
    for template, operations in document["paths"].items():
        address = re.sub(r"{[a-zA-Z]+}", "x", template)
        for method in operations:
            answer = await gateway.client.request(method, f"{address}?nobodyDeclared=1")
            (found,) = answer.json()["errors"]
            known = sorted(one["name"] for one in operations[method].get("parameters", ()) if one["in"] == "query")
            says = f"there is no such parameter; there is {', '.join(known) or 'none'}"
            assert (answer.status_code, found) == (422, {"pointer": "?nobodyDeclared", "message": says}), (
                method,
                template,
            )
    assert await gateway.position() == position


async def test_a_parameter_comes_once(gateway: Gateway) -> None:
    await gateway.client.put(f"{GROUPS}/kept", json={})
    answer = await gateway.client.delete(f"{GROUPS}/kept?preview=true&preview=false")
    assert (answer.status_code, answer.json()["errors"]) == (
        422,
        [{"pointer": "?preview", "message": "it comes twice"}],
    )
    assert (await gateway.client.get(f"{GROUPS}/kept")).status_code == 200


async def test_the_openapi_document_describes_every_kind_and_resolves(gateway: Gateway) -> None:
    document = (await gateway.client.get("/openapi.json")).json()
    assert "/v1/desired-config/sites/{desiredSite}/edges/{desiredEdge}/attempts/{attempt}" in document["paths"]
    schemas = document["components"]["schemas"]
    assert set(MODEL.kinds) <= set(schemas)
    assert _references(document) <= {f"#/components/schemas/{name}" for name in schemas}


async def test_the_openapi_document_says_what_each_parameter_is_for_and_what_each_answer_is_made_of(
    gateway: Gateway,
) -> None:
    document = (await gateway.client.get("/openapi.json")).json()
    for address, operations in document["paths"].items():
        for method, operation in operations.items():
            for parameter in operation["parameters"]:
                assert parameter["in"] == "path" or parameter["description"], (method, address, parameter)
            for status, answer in operation["responses"].items():
                told = answer.get("content", {}).get("application/json", {"schema": {"any": ""}})
                assert told["schema"] or address == "/graphql", (
                    method,
                    address,
                    status,
                )  # that has a schema of its own


@pytest.mark.parametrize(
    ("method", "address", "status", "parameter"),
    [
        ("get", "/v1/jobs/{group}/{name}/artifacts/{chunk}/{artifact}", "304", "If-None-Match"),
        ("post", GROUPS, "412", "If-None-Match"),
        ("get", "/v1/jobs/{group}/{name}/events", "204", "Last-Event-ID"),
        ("get", "/v1/jobs/{group}/{name}/logs", "204", "Last-Event-ID"),
        ("delete", "/v1/jobs/{group}/{name}", "412", "If-Match"),
        ("post", "/v1/jobs/{group}/{name}/retry", "412", "Idempotency-Key"),
        ("post", "/v1/edges/{site}/{edge}/drain", "412", "Idempotency-Key"),
    ],
)
async def test_the_openapi_document_says_what_headers_do(
    gateway: Gateway, method: str, address: str, status: str, parameter: str
) -> None:
    operation = (await gateway.client.get("/openapi.json")).json()["paths"][address][method]
    assert status in operation["responses"]
    assert parameter in [found["name"] for found in operation["parameters"]]


async def test_the_openapi_document_says_all_that_is_answered(gateway: Gateway) -> None:
    schemas = (await gateway.client.get("/openapi.json")).json()["components"]["schemas"]
    before = await gateway.position()
    diff = await gateway.client.get(f"{GROUPS}/default/diff", params={"from": before})
    assert set(diff.json()) == set(schemas["Differences"]["properties"])
    await new_edge(gateway.store)
    (edge,) = (await gateway.client.get("/v1/edges")).json()["items"]
    assert set(edge) == set(schemas["EdgeInUse"]["properties"])


def _references(value: object) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(_references(inner) for inner in value.values()))
    return set().union(*(_references(inner) for inner in value)) if isinstance(value, list) else set()
