"""REST, GraphQL and the store agree: both doors say the same of the same wish, and show the same nodes after any sequence."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from datamodel.command import Command
from datamodel.scheduling.model import MODEL
from tests.databases import Databases
from tests.fuzz.budget import budget
from tests.gateway import STEP, Gateway, ask, fake_gateway, real_gateway
from tests.graph import SYSTEM, done

SHOWN = {
    "JobGroup": "description",
    "Job": "chunks retries intent annotations outputs steps { name image env } requests { cpu memoryBytes powerW }",
    "SiteConfig": "",
    "EdgeConfig": "intent drainBy",
    "Scheduler": "policy",
}
"""By kind, the fields of the spec that are compared."""

PLACES = {
    "JobGroup": ("/config/job-groups/{0}a", "/config/job-groups/{0}b"),
    "Job": ("/config/job-groups/{0}a/jobs/x", "/config/job-groups/{0}a/jobs/y", "/config/job-groups/{0}b/jobs/x"),
    "SiteConfig": ("/config/sites/{0}s",),
    "EdgeConfig": ("/config/sites/{0}s/edges/e", "/config/sites/{0}s/edges/f"),
    "Scheduler": ("/config/scheduler",),
}
"""`{0}` is another word in each example: what is left of one is not in the way of the next."""
LISTS = {"JobGroup": "jobGroups", "Job": "jobs", "EdgeConfig": "edgeConfigs"}
"""How GraphQL calls the nodes of a kind, wherever they are."""
NAMES = {
    "/metadata/labels": "/labels",
    "/metadata/version": "/version",
    "If-Match": "/version",
    "/metadata/name": "/path",
    "/metadata/parent": "/path",
}
"""By what REST names, what a mutation's input does."""

_labels = st.dictionaries(
    st.sampled_from(["zone", "example.org/tier", "!"]), st.sampled_from(["", "a", "é"]), max_size=2
)
_step = st.sampled_from([STEP, {"name": "b", "image": "i", "env": {"A": "1"}}, {"name": "c"}])
_specs: dict[str, st.SearchStrategy[Any]] = {
    "JobGroup": st.fixed_dictionaries({}, optional={"description": st.sampled_from(["", "d", "e" * 5_000])}),
    "Job": st.fixed_dictionaries(
        {},
        optional={
            "steps": st.lists(_step, min_size=1, max_size=2),
            "chunks": st.sampled_from([1, 2, 0]),
            "retries": st.sampled_from([0, 3, -1]),
            "intent": st.sampled_from(["run", "suspend", "abort", "odd"]),
            "requests": st.fixed_dictionaries(
                {}, optional={"cpu": st.sampled_from([0.5, 1, -1]), "memoryBytes": st.just(9)}
            ),
            "annotations": st.dictionaries(st.sampled_from(["a", "b/c", "!"]), st.just("v"), max_size=2),
            "outputs": st.dictionaries(st.just("n"), st.sampled_from(["sum", "odd"]), max_size=1),
        },
    ),
    "SiteConfig": st.just({}),
    "EdgeConfig": st.fixed_dictionaries({}, optional={"intent": st.sampled_from(["use", "cordon", "drain", "odd"])}),
    "Scheduler": st.fixed_dictionaries({}, optional={"policy": st.sampled_from(["firstFit", "odd"])}),
}


@dataclass(frozen=True)
class Wish:
    """What is wanted of the node at a place. `door` says who is to do it in the end, `version` which one it must have: any, the
    present one or another."""

    verb: str
    kind: str
    at: int
    spec: dict[str, Any]
    labels: dict[str, str] | None
    version: str
    door: int


@st.composite
def wishes(draw: st.DrawFn) -> Wish:
    kind = draw(st.sampled_from(["JobGroup", "JobGroup", "Job", "Job", "Job", "SiteConfig", "EdgeConfig", "Scheduler"]))
    verbs = ["apply", "patch"] if kind == "Scheduler" else ["create", "create", "apply", "patch", "patch", "delete"]
    verb, spec = draw(st.sampled_from(verbs)), draw(_specs[kind])
    if verb == "patch":
        spec = {name: draw(st.sampled_from([value, value, None])) for name, value in spec.items()}
    version = draw(st.sampled_from(["any", "any", "present", "another"])) if verb != "create" else "any"
    return Wish(verb, kind, draw(st.integers(0, 2)), spec, draw(st.none() | _labels), version, draw(st.integers(0, 1)))


def _fields(kind: str) -> set[str]:
    return set(MODEL.kinds[kind].Spec.model_fields) & set(SHOWN[kind].replace("{", " ").replace("}", " ").split())


_numbers = itertools.count()

Told = tuple[Any, dict[str, str]]
"""The node after, or what a deletion does; or by pointer what is wrong."""


@pytest_asyncio.fixture(scope="module")
async def fake() -> AsyncIterator[Gateway]:
    async with fake_gateway() as gateway:
        yield gateway


@pytest_asyncio.fixture(scope="module")
async def real(databases: Databases) -> AsyncIterator[Gateway]:
    async with real_gateway(databases) as gateway:
        yield gateway


@pytest.fixture(params=["fake", "real"])
def gateway(request: pytest.FixtureRequest) -> Gateway:
    found: Gateway = request.getfixturevalue(request.param)
    return found


@budget(50)
@given(wanted=st.lists(wishes(), min_size=1, max_size=8))
async def test_the_doors_and_the_store_agree(gateway: Gateway, wanted: list[Wish]) -> None:
    word = f"w{next(_numbers)}"
    group, site = (PLACES[kind][0].format(word) for kind in ("JobGroup", "SiteConfig"))
    await done(gateway.store, Command("create", group, {"description": "d"}), Command("create", site))
    for wish in wanted:
        places = PLACES[wish.kind]
        path = places[wish.at % len(places)].format(word)
        version = await _version(gateway, path, wish.version)
        before = await gateway.position()
        would = [await door(gateway, wish, path, version, dry_run=True) for door in DOORS]
        assert would[0] == would[1], wish
        assert await gateway.position() == before, "a dry run was wet"
        did = await DOORS[wish.door](gateway, wish, path, version, dry_run=False)
        assert did[1] == would[0][1], wish
        assert wish.verb == "delete" or did[0] == would[0][0], wish
        await _alike(gateway, wish.kind, path)
        await _clean_up(gateway, word)
    for kind, plural in LISTS.items():
        await _listed_alike(gateway, kind, plural, word)


async def _version(gateway: Gateway, path: str, wanted: str) -> int | None:
    if wanted == "any":
        return None
    node = (await gateway.store.nodes([path])).get(path)
    return (node.version if node is not None else 7) + (wanted == "another")


async def _by_rest(gateway: Gateway, wish: Wish, path: str, version: int | None, *, dry_run: bool) -> Told:
    collection, _, name = path.rpartition("/")
    metadata: dict[str, Any] = {} if wish.labels is None else {"labels": wish.labels}
    if wish.verb == "create":
        metadata["name"], path = name, collection
    method = {"create": "POST", "apply": "PUT", "patch": "PATCH", "delete": "DELETE"}[wish.verb]
    headers = {"If-Match": f'"{version}"'} if version is not None else {}
    if wish.verb == "patch":
        headers["Content-Type"] = "application/merge-patch+json"
    flag = "preview" if wish.verb == "delete" else "dryRun"
    body = {"metadata": metadata, "spec": wish.spec} if wish.verb != "delete" else None
    answer = await gateway.client.request(
        method, f"/v1{path}", params={flag: str(dry_run).lower()}, headers=headers, json=body
    )
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        # What is not there is what the address names, which is all that a deletion has but its version.
        about = "/path" if answer.status_code == HTTPStatus.NOT_FOUND or wish.verb == "delete" else ""
        return None, {_named(error["pointer"]) or about: error["message"] for error in answer.json()["errors"]}
    if wish.verb == "delete":
        return (answer.json() if dry_run else None), {}
    document = answer.json()
    return _view(wish.kind, document["metadata"]["path"], document["metadata"]["labels"], document["spec"]), {}


async def _by_graphql(gateway: Gateway, wish: Wish, path: str, version: int | None, *, dry_run: bool) -> Told:
    if wish.verb == "delete":
        sent = {"path": path, "version": version, "dryRun": dry_run}
        payload = await _ask(gateway, _DELETE, **sent)
        return (payload["effects"] if dry_run else None), _errors(payload)
    name, shown = f"{wish.verb}{wish.kind}", wish.kind[0].lower() + wish.kind[1:]
    asked: dict[str, Any] = {"path": path, "dryRun": dry_run}
    asked |= {"spec": wish.spec} if _fields(wish.kind) else {}
    asked |= {"labels": wish.labels} if wish.labels is not None else {}
    asked |= {"version": version} if version is not None else {}
    query = f"""mutation Do($input: {name[0].upper()}{name[1:]}Input!) {{ {name}(input: $input) {{
      {shown} {{ path labels {_spec(wish.kind)} }}
      userErrors {{ pointer message }}
    }} }}"""
    payload = await _ask(gateway, query, input=asked)
    node = payload[shown]
    if node is None:
        return None, _errors(payload)
    return _view(wish.kind, node["path"], node["labels"], node.get("spec", {})), _errors(payload)


_DELETE = """mutation Delete($path: String!, $version: Long, $dryRun: Boolean!) {
  deleteNode(path: $path, version: $version, dryRun: $dryRun) {
    effects { deleted waiting unlinked }
    userErrors { pointer message }
} }"""

DOORS: tuple[Callable[..., Awaitable[Told]], ...] = (_by_rest, _by_graphql)


async def _alike(gateway: Gateway, kind: str, path: str) -> None:
    """One node, as each of the three shows it."""
    stored = (await gateway.store.nodes([path])).get(path)
    answer = await gateway.client.get(f"/v1{path}")
    shown = f"path uid version generation labels finalizers {_spec(kind)}"
    query = f"query Get($path: String!) {{ node(path: $path) {{ ... on {kind} {{ {shown} }} }} }}"
    told = await _ask(gateway, query, path=path)
    if stored is None:
        assert answer.status_code == 404
        assert told is None
        return
    document = answer.json()
    metadata, spec = document["metadata"], told.get("spec", {})
    expected = (stored.uid, stored.version, stored.generation, list(stored.finalizers))
    for seen in (metadata, told):
        assert (seen["uid"], seen["version"], seen["generation"], seen.get("finalizers", [])) == expected
    view = _view(kind, stored.path, stored.labels, stored.spec)
    assert _view(kind, metadata["path"], metadata["labels"], document["spec"]) == view
    assert _view(kind, told["path"], told["labels"], spec) == view


async def _listed_alike(gateway: Gateway, kind: str, plural: str, word: str) -> None:
    """The newest nodes of a kind, by small pages, as far as they are of one example."""
    by_rest = await _newest(word, lambda cursor: _page_of_rest(gateway, kind, cursor))
    by_graphql = await _newest(word, lambda cursor: _page_of_graphql(gateway, plural, cursor))
    assert by_rest == by_graphql
    places = [place.format(word) for place in PLACES[kind]]
    stored = {(node.path, node.version) for node in (await gateway.store.nodes(places)).values()}
    assert {(path, version) for path, version in by_rest if path in places} == stored


_Page = tuple[list[tuple[str, int]], str | None]
"""The paths and versions of a page, and where the next one is."""


async def _newest(word: str, page: Callable[[str | None], Awaitable[_Page]]) -> list[tuple[str, int]]:
    found, cursor = await page(None)
    while cursor is not None and f"/{word}" in found[-1][0]:
        more, cursor = await page(cursor)
        found += more
    return found


async def _page_of_rest(gateway: Gateway, kind: str, cursor: str | None) -> _Page:
    query = {"limit": "2", "sort": "-version", **({"cursor": cursor} if cursor else {})}
    page = (await gateway.client.get(f"/v1/kinds/{kind}/nodes", params=query)).json()
    return [(item["metadata"]["path"], item["metadata"]["version"]) for item in page["items"]], page["cursor"]


async def _page_of_graphql(gateway: Gateway, plural: str, cursor: str | None) -> _Page:
    query = f"""query List($after: String) {{ kinds {{
      {plural}(first: 2, after: $after, orderBy: {{ by: version, direction: descending }}) {{
        pageInfo {{ hasNextPage endCursor }}
        edges {{ node {{ path version }} }}
    }} }} }}"""
    page = (await _ask(gateway, query, after=cursor))[plural]
    found = [(edge["node"]["path"], edge["node"]["version"]) for edge in page["edges"]]
    return found, page["pageInfo"]["endCursor"] if page["pageInfo"]["hasNextPage"] else None


async def _clean_up(gateway: Gateway, word: str) -> None:
    """What a reconciler would, where nodes wait for it; what is below goes first."""
    places = [place.format(word) for kind in PLACES for place in PLACES[kind]]
    found = [node for node in (await gateway.store.nodes(places)).values() if node.deletion_requested_at is not None]
    for node in sorted(found, key=lambda node: -len(node.path)):
        for finalizer in node.finalizers:
            await done(gateway.store, Command("finalize", node.path, {"finalizer": finalizer}), actor=SYSTEM)


async def _ask(gateway: Gateway, query: str, **variables: Any) -> Any:
    """The one member of an answer."""
    (found,) = (await ask(gateway, query, **variables)).values()
    return found


def _errors(payload: dict[str, Any]) -> dict[str, str]:
    return {error["pointer"]: error["message"] for error in payload["userErrors"]}


def _named(pointer: str) -> str:
    for told, named in NAMES.items():
        if pointer == told or pointer.startswith(f"{told}/"):
            return named + pointer.removeprefix(told)
    return pointer


def _spec(kind: str) -> str:
    return f"spec {{ {SHOWN[kind]} }}" if SHOWN[kind] else ""


def _view(kind: str, path: str, labels: Any, spec: dict[str, Any]) -> dict[str, Any]:
    """What is compared of a node: of its steps, too, what is shown."""
    shown = {name: spec.get(name) for name in _fields(kind)}
    if (steps := shown.get("steps")) is not None:
        shown["steps"] = [{name: step.get(name) for name in ("name", "image", "env")} for step in steps]
    return {"path": path, "labels": labels, "spec": shown}
