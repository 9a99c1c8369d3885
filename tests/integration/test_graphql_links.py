"""Links of every sort in GraphQL, over the model that has them."""

from typing import Any

from datamodel.command import Command
from datamodel.kinds import Kind, Link, Part, Plane, Seed
from datamodel.model import Model
from datamodel.seeds import seed
from tests.gateway import Gateway, open_gateway
from tests.graph import memory_store
from tests.plants import GARDEN, PLANT, TRELLIS, link, plant, plant_garden, tended

QUERY = """query Plant($path: String!) { node(path: $path) { links ... on Plant {
  stands { name plants { edges { node { name } } } } near { name neighbours { edges { node { name } } } } seller { name }
} } }"""


async def shown(gateway: Gateway, path: str) -> Any:
    answer = (await gateway.client.post("/graphql", json={"query": QUERY, "variables": {"path": path}})).json()
    assert "errors" not in answer, answer
    node = answer["data"]["node"]
    assert isinstance(node.pop("links"), dict)
    return node


async def test_links_lead_to_what_is_there() -> None:
    store = memory_store(GARDEN)
    await seed(store)
    await plant_garden(store)
    async with open_gateway(store) as gateway:
        await tended(
            store, plant("p", seller="/garden/shops/s"), plant("q", stands=TRELLIS), plant("r", stands=TRELLIS)
        )
        others = [f"/garden/beds/b/plants/{name}" for name in "rq"]
        await tended(store, *(link(PLANT, "near", path) for path in others))
        found = await shown(gateway, PLANT)
        assert (found["stands"], found["seller"]) == (None, {"name": "s"})
        assert sorted(near["name"] for near in found["near"]) == ["q", "r"]
        assert {edge["node"]["name"] for near in found["near"] for edge in near["neighbours"]["edges"]} == {"p"}
        stands = (await shown(gateway, others[0]))["stands"]
        assert stands == {"name": "t", "plants": {"edges": [{"node": {"name": name}} for name in "qr"]}}
        await tended(store, Command("delete", others[0]), Command("delete", "/garden/shops/s"))
        found = await shown(gateway, PLANT)
        assert ([near["name"] for near in found["near"]], found["seller"]) == (["q"], None)
        assert (await store.nodes([PLANT]))[PLANT].links["seller"], "it keeps what is gone"


async def test_what_is_named_as_something_else_stays_that() -> None:
    store = memory_store(HALLS)
    await seed(store)
    async with open_gateway(store) as gateway:
        query = '{ __type(name: "Desk") { fields { name type { name ofType { name } } } } }'
        fields = (await gateway.client.post("/graphql", json={"query": query})).json()["data"]["__type"]["fields"]
        types = {field["name"]: field["type"]["name"] or field["type"]["ofType"]["name"] for field in fields}
        assert (types["status"], types["createdAt"], types["nextTo"]) == ("DeskStatus", "DateTime", "Desk")


class Hall(Kind):
    plane, segment, singleton = Plane("hall", frozenset({"user"}), frozenset({"system"})), "hall", True


class DeskStatus(Part):
    dusty: bool = False


class Desk(Kind):
    """Two of its links have names that are taken."""

    plane, parent, segment = Hall.plane, Hall, "desks"
    Status = DeskStatus
    links = {name: Link(to="Desk", reverse=f"{name}-of") for name in ("status", "created-at", "next-to")}


HALLS = Model([Hall, Desk], [Seed("/hall")])
