"""Reading the past on Postgres: what a node was is put together from few events of it, however often its status changed."""

from collections.abc import Collection, Mapping
from datetime import datetime
from itertools import groupby
from typing import get_args

import msgspec

from datamodel.errors import not_kept
from datamodel.event import Event, Op
from datamodel.history import NodeEvents, kept_of
from datamodel.model import Model
from datamodel.node import Node
from datamodel.postgres import rows
from datamodel.postgres.database import Database
from datamodel.state import image

_OPS = list(get_args(Op))
OWNED = ["specChanged", "labelsChanged"]
"""Of these all are read: whose a field is follows from everyone who changed it."""
OTHERS = [op for op in _OPS if op not in OWNED]

_AT_BASE = "base"
"""Stands for an event in rows that are nodes of the base."""

NEWEST = f"""
SELECT told.* FROM unnest($1::text[], $2::bigint[]) AS wanted(path, at) CROSS JOIN base
LEFT JOIN LATERAL (SELECT events.position FROM events WHERE path = wanted.path
  AND (op, events.position) > ('created', base.position) AND (op, events.position) <= ('created', wanted.at)
  ORDER BY op DESC, events.position DESC LIMIT 1) AS born ON true
CROSS JOIN LATERAL (
  SELECT base.position, '' AS id, base.at, '{_AT_BASE}' AS op, key AS path, '' AS uid, '' AS kind, content AS part,
    '' AS actor, '' AS cause, '' AS correlation, 0 AS schema
    FROM base_rows WHERE source = 'nodes' AND key = wanted.path AND born.position IS NULL
  UNION ALL SELECT owned.* FROM unnest($4::text[]) AS ops(op) CROSS JOIN LATERAL (SELECT events.* FROM events
    WHERE path = wanted.path
    AND (op, position) >= (ops.op, coalesce(born.position, base.position + 1)) AND (op, position) <= (ops.op, wanted.at)
    ORDER BY op, position) AS owned
  UNION ALL SELECT newest.* FROM unnest($3::text[]) AS ops(op) CROSS JOIN LATERAL (SELECT events.* FROM events
    WHERE path = wanted.path
    AND (op, position) >= (ops.op, coalesce(born.position, base.position + 1)) AND (op, position) <= (ops.op, wanted.at)
    ORDER BY op DESC, position DESC LIMIT 1) AS newest) AS told
ORDER BY told.path, told.position
"""
"""Of each path: the creation of the node that was there, or where that is before the base, the node as it was at the base;
and what made it another one. An operation and its positions are one range, so that nothing but their own index has them in this
order: walking back along the log costs what there is."""

_DEPARTED = """
SELECT wanted.path, first.position FROM unnest($1::text[]) AS wanted(path)
CROSS JOIN LATERAL (SELECT position FROM events WHERE path = wanted.path
  AND (op, position) > ('deleted', $2) AND (op, position) <= ('deleted', $3) ORDER BY op, position LIMIT 1) AS first
"""

EVENTS = """
SELECT event.* FROM unnest($2::text[]) AS wanted(path) CROSS JOIN LATERAL (
  SELECT told.* FROM unnest($1::text[]) AS ops(op) CROSS JOIN LATERAL (SELECT * FROM events WHERE path = wanted.path
    AND op = ops.op AND position > $3 AND position < $4 AND ($5 = '' OR uid = $5) ORDER BY position {order} LIMIT $6) AS told
  ORDER BY told.position {order} LIMIT $6) AS event
ORDER BY event.path, event.position {order}
"""
"""Of each path the first or last events between two positions."""

_POSITION_AT = """
WITH RECURSIVE search(low, high) AS (
  SELECT greatest(base.position - 1, 0), head.position FROM head, base
  UNION ALL
  SELECT CASE WHEN at <= $1 THEN middle ELSE low END, CASE WHEN at <= $1 THEN high ELSE middle - 1 END
  FROM (SELECT low, high, (low + high + 1) / 2 AS middle FROM search WHERE low < high) AS halved
  JOIN events ON events.position = middle
)
SELECT low FROM search WHERE low = high
"""
"""Times never run backwards in the log, so halving finds the last event that is not later. Below the base it finds nothing."""

_node = msgspec.json.Decoder(rows.NodeRow).decode


class PostgresHistory:
    """The queries. What they mean is said at the port."""

    _database: Database
    _model: Model

    async def oldest(self) -> int:
        (row,) = await self._database.look_up("SELECT position FROM base")
        return int(row["position"])

    async def position_at(self, time: datetime) -> int:
        found = await self._database.look_up(_POSITION_AT, time)
        oldest = await self.oldest()
        if not found or found[0]["low"] < oldest:
            raise not_kept(time, oldest)
        return int(found[0]["low"])

    async def nodes_at(self, paths: Collection[str], position: int) -> dict[str, Node]:
        """A node that has not changed since is read as it is."""
        found = await self._database.look_up(
            f"SELECT {rows.NODE_COLUMNS} FROM nodes WHERE path = ANY($1) AND version <= $2", list(paths), position
        )
        nodes = {row["path"]: rows.node(self._model, row) for row in found}
        others = [path for path in paths if path not in nodes]
        if others:
            nodes |= await self._former(dict.fromkeys(others, position))
        await self._check_kept(position)
        return nodes

    async def departed(self, paths: Collection[str], after: int, through: int) -> dict[str, tuple[int, Node]]:
        if not paths:
            return {}
        found = await self._database.look_up(_DEPARTED, list(paths), after, through)
        went = {row["path"]: row["position"] for row in found}
        nodes = await self._former({path: position - 1 for path, position in went.items()}) if went else {}
        await self._check_kept(after)
        return {path: (went[path], node) for path, node in nodes.items()}

    async def _former(self, positions: Mapping[str, int]) -> dict[str, Node]:
        """By path, the nodes at a position each."""
        nodes = {}
        found = await self._database.look_up(NEWEST, list(positions), list(positions.values()), OTHERS, OWNED)
        for path, events in groupby(found, key=lambda row: row["path"]):
            node: Node | None = None
            for row in events:
                if row["op"] == _AT_BASE:
                    node = _node(row["part"]).node(self._model)
                else:
                    node = image(node, rows.event(self._model, row))
            if node is not None:
                nodes[path] = node
        return nodes

    async def _check_kept(self, position: int) -> None:
        """After something was read of a position: the base moves before anything is dropped."""
        oldest = await self.oldest()
        if position < oldest:
            raise not_kept(position, oldest)

    async def history(
        self, path: str, *, uid: str = "", after: int = 0, before: int | None = None, limit: int = 100
    ) -> NodeEvents:
        return (await self._events([path], uid, after, before, limit))[path]

    async def history_each(
        self, paths: Collection[str], *, after: int = 0, before: int | None = None, limit: int = 100
    ) -> dict[str, NodeEvents]:
        return await self._events(paths, "", after, before, limit)

    async def _events(
        self, paths: Collection[str], uid: str, after: int, before: int | None, limit: int
    ) -> dict[str, NodeEvents]:
        first = await self.oldest()
        found = await self._database.look_up(
            EVENTS.format(order="ASC" if before is None else "DESC"),
            _OPS,
            list(paths),
            max(after, first - 1),
            before if before is not None else 2**63 - 1,
            uid,
            limit,
        )
        oldest = await self.oldest()  # again: the base may have moved on, and what is before it have been dropped
        if 0 < after < oldest - 1:
            raise not_kept(after + 1, oldest)
        events: dict[str, list[Event]] = {path: [] for path in paths}
        for row in found:
            events[row["path"]].append(rows.event(self._model, row))
        return {
            path: kept_of(of, oldest, uid=uid, after=after, before=before, limit=limit) for path, of in events.items()
        }
