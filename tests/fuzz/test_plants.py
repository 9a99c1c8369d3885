"""Links, deletions and applies of several writers against a model of plain dictionaries, in the fake and in the database."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from datamodel.audit import Audit
from datamodel.command import Actor, Command
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.postgres.store import PostgresStore
from datamodel.seeds import seed
from datamodel.verify import verify
from tests.databases import Databases
from tests.fuzz.budget import budget
from tests.fuzz.plants_model import BED, LINKS, ROOT, Garden
from tests.graph import memory_store
from tests.plants import GARDEN, link, tend, tended, unlink
from tests.segments import based

PLACES = {
    "Trellis": ["/garden/trellises/t", "/garden/trellises/u"],
    "Shop": ["/garden/shops/s"],
    "Bed": [BED],
    "Plant": [f"{BED}/plants/{name}" for name in "pqr"],
    "Graft": [f"{BED}/grafts/{name}" for name in "gh"],
    "Bud": [f"{BED}/grafts/{name}/buds/{bud}" for name in "gh" for bud in "xy"],
}


@dataclass(frozen=True)
class Wish:
    """A command before it is known what there is: numbers choose among the places of a kind, the links and the targets."""

    op: str
    kind: str
    at: int
    link: int
    to: tuple[int, ...]
    actor: str
    fields: tuple[tuple[str, Any], ...]


_fields = st.lists(
    st.one_of(
        st.tuples(st.just("height"), st.integers(1, 3)),
        st.tuples(st.sampled_from(["colours/leaf", "colours/bud"]), st.sampled_from(["red", "green"])),
    ),
    max_size=3,
).map(tuple)
_ops = [
    "create",
    "create",
    "create",
    "link",
    "link",
    "unlink",
    "delete",
    "delete",
    "finalize",
    "apply",
    "apply",
    "patch",
]
_kinds = ["Plant", "Plant", "Plant", "Graft", "Graft", "Bud", "Bud", "Trellis", "Shop", "Bed"]
_wishes = st.builds(
    Wish,
    st.sampled_from(_ops),
    st.sampled_from(_kinds),
    st.integers(0, 3),
    st.integers(0, 2),
    st.lists(st.integers(0, 3), max_size=2).map(tuple),
    st.sampled_from(["ann", "ben"]),
    _fields,
)
_units = st.tuples(st.lists(_wishes, min_size=1, max_size=3), st.booleans(), st.sampled_from([False] * 4 + [True]))
_histories = st.lists(_units, min_size=5, max_size=40)


class World:
    """A store and the model of it, taken through the same steps."""

    def __init__(self, store: Store) -> None:
        self.store, self.model, self.base, self.number = store, Garden(), 0, 0

    async def begin(self) -> None:
        await tended(self.store, Command("create", "/garden", uid=ROOT))
        self.base = (await self.store.head()).position
        for at, kind in (
            (0, "Bed"),
            (0, "Trellis"),
            (1, "Trellis"),
            (0, "Shop"),
            (0, "Plant"),
            (1, "Plant"),
            (0, "Graft"),
        ):
            await self.take([Wish("create", kind, at, 0, (0,), "ann", ())], atomic=True, dry_run=False)

    async def take(self, wishes: list[Wish], *, atomic: bool, dry_run: bool) -> None:
        pairs = [self.command(wish) for wish in wishes]
        actor = wishes[0].actor
        before = deepcopy(self.model)
        expected = []
        for _, apply in pairs:
            events = self.model.events
            expected.append(apply(self.model, actor) or ("changed" if self.model.events > events else "unchanged"))
        if atomic and {*expected} - {"changed", "unchanged"}:
            self.model = before
            expected = [told if told not in ("changed", "unchanged") else "Aborted" for told in expected]
        elif dry_run:
            self.model = before
        outcome = await tend(
            self.store, *(c for c, _ in pairs), actor=Actor(actor, "user"), atomic=atomic, dry_run=dry_run
        )
        assert [type(v.error).__name__ if v.error is not None else v.outcome for v in outcome] == expected

    async def compact(self) -> None:
        """Two thirds of the log are folded into the base; nothing that is present is another one for it."""
        await based(self.store, (await self.store.head()).position * 2 // 3, limit=5)

    def command(self, wish: Wish) -> tuple[Command, Callable[[Garden, str], str | None]]:
        """The command, and what it is to the model."""
        places = PLACES[wish.kind]
        path = places[wish.at % len(places)]
        names = list(LINKS.get(wish.kind, {})) or ["none"]
        name = names[wish.link % len(names)]
        targets = PLACES.get(LINKS.get(wish.kind, {}).get(name, ""), [])
        to = [targets[number % len(targets)] for number in wish.to] if targets else []
        fields = dict(wish.fields) if wish.kind == "Plant" else {}
        match wish.op:
            case "link" | "unlink" if to:
                made = (link if wish.op == "link" else unlink)(path, name, to[0])
                return made, lambda model, _: model.relink(wish.op, path, name, to[0])
            case "delete":
                return Command("delete", path), lambda model, _: model.delete(path)
            case "finalize":
                return Command("finalize", path, {"finalizer": "gardener"}), lambda model, _: model.finalize(path)
            case "apply" if wish.kind == "Plant":
                uid = self.uid()
                made = Command("apply", path, nested(fields), uid=uid)
                return made, lambda model, actor: model.apply(path, uid, actor, fields)
            case "patch" if wish.kind == "Plant":
                return Command("patchSpec", path, nested(fields)), lambda model, actor: model.patch(path, actor, fields)
        uid, links = self.uid(), {name: to} if to else {}
        made = Command(
            "create", path, nested(fields), links={link: tuple(paths) for link, paths in links.items()}, uid=uid
        )
        return made, lambda model, actor: model.create(wish.kind, path, uid, actor, links, fields)

    def uid(self) -> str:
        self.number += 1
        return f"{0xF0000000 + self.number:032x}"

    async def compare(self) -> None:
        model, store = self.model, self.store
        assert (await store.head()).position == self.base + model.events
        every = {path for places in PLACES.values() for path in places}
        nodes = await store.nodes(every)
        assert {path: shown(node) for path, node in nodes.items()} == {
            path: (row.kind, row.uid, row.links, row.finalizers, row.deleting, row.fields)
            for path, row in model.nodes.items()
            if path != "/garden"
        }
        for path, node in nodes.items():
            for name, owner in model.nodes[path].owners.items():
                assert told_owner(node, f"/spec/{name}") == owner
        assert [node.path for node in await store.deleting()] == sorted(p for p, r in model.nodes.items() if r.deleting)
        for kind, names in LINKS.items():
            for name in names:
                for row in model.nodes.values():
                    mine = sorted(p for p, source in model.nodes.items() if row.uid in source.links.get(name, ()))
                    found = [node.path for node in await store.linked(kind, name, row.uid)]
                    assert found == [path for path in mine if model.nodes[path].kind == kind]
        report = await verify(store, Audit(GARDEN))
        assert report.clean, str(report)


def nested(fields: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = {}
    for name, value in fields.items():
        if name.startswith("colours/"):
            spec.setdefault("colours", {})[name.removeprefix("colours/")] = value
        else:
            spec[name] = value
    return spec


def shown(node: Node) -> tuple[Any, ...]:
    fields: dict[str, Any] = {f"colours/{name}": value for name, value in node.spec.get("colours", {}).items()}
    if "height" in node.spec:
        fields["height"] = node.spec["height"]
    links = {name: {*uids} for name, uids in node.links.items()}
    return (node.kind, node.uid, links, bool(node.finalizers), node.deletion_requested_at is not None, fields)


def told_owner(node: Node, pointer: str) -> str:
    prefixes = [found for found in node.owners if pointer == found or pointer.startswith(found + "/")]
    return node.owners[max(prefixes, key=len)]


@budget(300)
@given(steps=_histories)
async def test_the_fake_does_what_the_model_says(steps: list[tuple[list[Wish], bool, bool]]) -> None:
    store = memory_store(GARDEN)
    await seed(store)
    world = World(store)
    await world.begin()
    for number, (wishes, atomic, dry_run) in enumerate(steps):
        await world.take(wishes, atomic=atomic, dry_run=dry_run)
        if number % 6 == 5:
            await world.compact()
        await world.compare()


@budget(8)
@given(steps=_histories)
async def test_the_database_does_what_the_model_says(
    databases: Databases, steps: list[tuple[list[Wish], bool, bool]]
) -> None:
    url = await databases.create()
    try:
        async with PostgresStore(url, GARDEN) as store:
            world = World(store)
            await world.begin()
            for number, (wishes, atomic, dry_run) in enumerate(steps):
                await world.take(wishes, atomic=atomic, dry_run=dry_run)
                if number % 8 == 0:
                    await world.compact()
                    await world.compare()
            await world.compare()
    finally:
        await databases.drop(url)
