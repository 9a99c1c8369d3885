"""Reading what deletions take with them: the nodes below, those that are linked to them, and what all of these derive."""

from collections.abc import Collection, Iterable, Sequence

from datamodel.model import Model
from datamodel.names import is_within
from datamodel.needs import Needs
from datamodel.node import Node
from datamodel.postgres import rows
from datamodel.postgres.connect import Connection
from datamodel.removal import SUBTREE_LIMIT
from datamodel.state import State

# "0" is the character after "/": the range holds every path that begins with the root and a "/".
_BELOW = f"""
SELECT node.* FROM unnest($1::text[]) AS root(path) CROSS JOIN LATERAL (SELECT {rows.NODE_COLUMNS} FROM nodes
  WHERE nodes.path > root.path || '/' AND nodes.path < root.path || '0') AS node LIMIT {SUBTREE_LIMIT + 1}
"""
_SOURCES = f"""
SELECT links.source FROM links JOIN nodes ON nodes.path = links.source
  JOIN unnest($2::text[], $3::text[]) AS bound(kind, name) ON bound.kind = nodes.kind AND bound.name = links.name
  WHERE links.target = ANY($1) LIMIT {SUBTREE_LIMIT + 1}
"""


async def read_doomed(connection: Connection, model: Model, wanted: Needs, state: State) -> set[str]:
    """Adds to what was read all that the wanted deletions and finalizers may take with them; the paths whose deletion is too
    large to be read."""
    reader = _Reader(connection, model, state)
    large = {path for path in sorted(wanted.deleted) if path in state.nodes and not await reader.read_removal(path)}
    for path in sorted(wanted.finalized):
        await reader.read_released(path)
    wanted.with_nodes(model, list(state.nodes.values()))
    for row in await connection.fetch("SELECT * FROM pools WHERE path = ANY($1)", list(wanted.pools)):
        state.pools[row["path"]] = rows.pool(row)
    for row in await connection.fetch("SELECT * FROM totals WHERE owner = ANY($1)", list(wanted.owners)):
        state.totals[row["owner"]] = rows.totals(row)
    return large


class _Reader:
    """Reads into a state what `datamodel.removal` looks at, on a connection that holds the log's lock."""

    def __init__(self, connection: Connection, model: Model, state: State) -> None:
        self._connection, self._model, self._state = connection, model, state
        bound = [(kind, name) for kind, links in model.binding.items() for name in links]
        self._kinds, self._names = [kind for kind, _ in bound], [name for _, name in bound]

    async def read_removal(self, root: str) -> bool:
        """Reads what goes with a node; whether that is all of it, and not too large."""
        doomed: set[str] = set()
        links = 0
        roots = [root]
        while roots:
            below = await self._read(_BELOW, roots)
            new = [self._state.nodes[path] for path in {*roots, *below} - doomed]
            doomed.update(node.path for node in new)
            sources = await self._sources([node.uid for node in new])
            links += len(sources)
            if len(below) > SUBTREE_LIMIT or len(doomed) + links > SUBTREE_LIMIT:
                return False
            uids = {node.uid for node in new}
            roots = _tops(path for path in {*sources} - doomed if self._cascades(self._state.nodes[path], uids))
        return True

    async def read_released(self, root: str) -> None:
        """Reads what a node that is being deleted holds up, and what else does."""
        seen: set[str] = set()
        found = [self._state.nodes[root]] if root in self._state.nodes else []
        while found:
            going = [n for n in found if n.deletion_requested_at is not None and n.path not in seen]
            seen.update(node.path for node in going)
            if not going:
                return
            await self._read(_BELOW, _tops(node.path for node in going))
            await self._sources([node.uid for node in going])
            parents = [parent for node in going if (parent := self._model.locate(node.path)[1])]
            targets = [
                uid
                for node in going
                for name in self._model.binding.get(node.kind, ())
                for uid in node.links.get(name, ())
            ]
            query = f"SELECT {rows.NODE_COLUMNS} FROM nodes WHERE path = ANY($1) OR uid = ANY($2)"
            found = [self._state.nodes[path] for path in await self._read(query, parents, targets)]

    def _cascades(self, source: Node, uids: Collection[str]) -> bool:
        links = self._model.binding[source.kind]
        return any(
            link.gone == "cascade" and not set(source.links.get(name, ())).isdisjoint(uids)
            for name, link in links.items()
        )

    async def _sources(self, uids: Sequence[str]) -> list[str]:
        """The path of a source for each link that leads to one of these, and the sources themselves."""
        if not self._kinds:
            return []
        found = await self._connection.fetch(_SOURCES, uids, self._kinds, self._names)
        paths = [row["source"] for row in found]
        new = [*{*paths}.difference(self._state.nodes)]
        if new:
            await self._read(f"SELECT {rows.NODE_COLUMNS} FROM nodes WHERE path = ANY($1)", new)
        return paths

    async def _read(self, query: str, *arguments: Sequence[str]) -> list[str]:
        """Reads nodes; their paths."""
        found = [rows.node(self._model, row) for row in await self._connection.fetch(query, *arguments)]
        self._state.nodes.update((node.path, node) for node in found)
        return [node.path for node in found]


def _tops(paths: Iterable[str]) -> list[str]:
    """Without those that are below another one."""
    tops: list[str] = []
    for path in sorted(paths, key=lambda path: path + "/"):
        if not tops or not is_within(path, tops[-1]):
            tops.append(path)
    return tops
