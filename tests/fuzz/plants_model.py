"""What links, deletions and applies have to do, said a second time and in the plainest way: loops over all nodes, until
nothing changes any more. Nothing here is shared with the rule book. It knows the kinds of `tests/plants.py` by their names.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

BED = "/garden/beds/b"
ROOT = "f" * 32
LINKS = {
    "Plant": {"stands": "Trellis", "near": "Plant", "seller": "Shop"},
    "Graft": {"stock": "Plant"},
    "Bud": {"of": "Bud"},
}
MANY, REQUIRED = ("near", "of"), ("stock",)
RESTRICT, CASCADE, UNLINK = ("stands",), ("stock", "of"), ("near",)

Refused = str


@dataclass
class Row:
    """A node; its fields are the height and the colours of a plant, each with its owner."""

    kind: str
    uid: str
    creator: str
    links: dict[str, set[str]]
    finalizers: bool = False
    deleting: bool = False
    fields: dict[str, object] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)

    def has(self, names: tuple[str, ...], uid: str) -> bool:
        return any(uid in self.links.get(name, ()) for name in names)


class Garden:
    """The nodes by path, and how many events there were."""

    def __init__(self) -> None:
        self.nodes = {"/garden": Row("Garden", ROOT, "ann", {})}
        self.events = 0

    def create(
        self, kind: str, path: str, uid: str, actor: str, links: dict[str, list[str]], fields: dict[str, object]
    ) -> Refused | None:
        if path in self.nodes:
            return "Conflict"
        above = self.nodes.get(path.rsplit("/", 2)[0])
        if above is None or above.deleting:
            return "NotFound" if above is None else "Conflict"
        found: dict[str, set[str]] = {}
        for name, paths in links.items():
            for target in paths:
                if refused := self.target(kind, name, target, set()):
                    return refused
                found.setdefault(name, set()).add(self.nodes[target].uid)
        if refused := self.cardinality(kind, found):
            return refused
        row = self.nodes[path] = Row(kind, uid, actor, found, finalizers=kind == "Graft")
        if kind == "Plant":
            row.fields = {"height": 1, **fields}
            row.owners = dict.fromkeys(row.fields, actor)
        self.events += 1
        return None

    def target(self, kind: str, name: str, path: str, known: set[str]) -> Refused | None:
        node = self.nodes.get(path)
        if node is None or node.kind != LINKS[kind][name]:
            return "NotFound"
        return "Conflict" if node.deleting and node.uid not in known else None

    def cardinality(self, kind: str, links: dict[str, set[str]]) -> Refused | None:
        wrong = any(name in REQUIRED and not links.get(name) for name in LINKS.get(kind, ()))
        return "Invalid" if wrong or any(len(uids) > 1 and name not in MANY for name, uids in links.items()) else None

    def relink(self, op: str, path: str, name: str, target: str) -> Refused | None:
        row = self.nodes.get(path)
        if row is None:
            return "NotFound"
        before = row.links.get(name, set())
        if refused := self.target(row.kind, name, target, before):
            return refused
        uid = self.nodes[target].uid
        if op == "link" and before - {uid} and name not in MANY:
            return "Conflict"
        after = before | {uid} if op == "link" else before - {uid}
        if after == before:
            return None
        if row.deleting:
            return "Conflict"
        links = {**row.links, name: after}
        if refused := self.cardinality(row.kind, links):
            return refused
        row.links = {link: uids for link, uids in links.items() if uids}
        self.events += 1
        return None

    def apply(self, path: str, uid: str, actor: str, fields: dict[str, object]) -> Refused | None:
        row = self.nodes.get(path)
        if row is None:
            return self.create("Plant", path, uid, actor, {}, fields)
        kept = {name: value for name, value in row.fields.items() if row.owners[name] != actor}
        self.write(row, actor, {"height": 1, **kept, **fields})
        return None

    def patch(self, path: str, actor: str, fields: dict[str, object]) -> Refused | None:
        row = self.nodes.get(path)
        if row is None:
            return "NotFound"
        self.write(row, actor, {**row.fields, **fields})
        return None

    def write(self, row: Row, actor: str, after: dict[str, object]) -> None:
        if after != row.fields:
            self.events += 1
        same = {name for name in after if name in row.fields and row.fields[name] == after[name]}
        row.owners = {name: row.owners[name] if name in same else actor for name in after}
        row.fields = after

    def delete(self, path: str) -> Refused | None:
        if path not in self.nodes:
            return "NotFound"
        doomed = {path}
        while more := {p for p in self.nodes if p not in doomed and self.goes_with(p, doomed)}:
            doomed |= more
        held = {p for p in doomed if self.nodes[p].finalizers}
        for target in doomed:
            for source in self.sources(target, RESTRICT):
                if source not in doomed and not self.nodes[source].deleting:
                    return "Conflict"
                held |= {target} if source not in doomed else set()
        while more := {p for p in doomed - held if any(self.waits(p, other) for other in held)}:
            held |= more
        for kept in held:
            self.events += not self.nodes[kept].deleting
            self.nodes[kept].deleting = True
        self.remove(doomed - held)
        return None

    def goes_with(self, path: str, doomed: set[str]) -> bool:
        return any(path.startswith(p + "/") or self.nodes[path].has(CASCADE, self.nodes[p].uid) for p in doomed)

    def waits(self, path: str, other: str) -> bool:
        """Whether a node cannot go before another one."""
        below = other.startswith(path + "/")
        return below or (path != other and self.nodes[other].has(RESTRICT + CASCADE, self.nodes[path].uid))

    def sources(self, path: str, names: tuple[str, ...]) -> Iterator[str]:
        return (p for p, row in self.nodes.items() if row.has(names, self.nodes[path].uid))

    def finalize(self, path: str) -> Refused | None:
        if path not in self.nodes:
            return "NotFound"
        self.events += self.nodes[path].finalizers
        self.nodes[path].finalizers = False
        going = {p for p, row in self.nodes.items() if row.deleting and not row.finalizers}
        while stay := {p for p in going if any(self.waits(p, other) for other in self.nodes if other not in going)}:
            going -= stay
        self.remove(going)
        return None

    def remove(self, paths: set[str]) -> None:
        gone = {self.nodes.pop(path).uid for path in paths}
        self.events += len(gone)
        for row in self.nodes.values():
            left = {name: uids - gone if name in UNLINK else uids for name, uids in row.links.items()}
            self.events += left != row.links
            row.links = {name: uids for name, uids in left.items() if uids}
