"""The store port on Postgres: the log, with a connection of its own for the writer, beside the graph and the bookkeeping."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Self

from datamodel.command import Outcome, Unit
from datamodel.errors import Invalid, NotMigrated, not_kept
from datamodel.event import Event
from datamodel.fingerprint import fingerprints
from datamodel.ledger import Totals
from datamodel.model import Model
from datamodel.node import Node
from datamodel.ports import Change, Head, Snapshot
from datamodel.postgres import rows
from datamodel.postgres.bookkeeping import PostgresBookkeeping
from datamodel.postgres.database import Database
from datamodel.postgres.graph import PostgresGraph
from datamodel.postgres.history import PostgresHistory
from datamodel.postgres.recent import Recent
from datamodel.postgres.remembered import Changed
from datamodel.postgres.segments import PostgresSegments
from datamodel.postgres.snapshot import snapshot
from datamodel.postgres.walks import PostgresWalks
from datamodel.postgres.writer import Writer

_CHANGE_COLUMNS = ", ".join(f"n.{column}" for column in rows.NODE_COLUMNS.split(", "))


class PostgresStore(PostgresGraph, PostgresHistory, PostgresSegments, PostgresWalks, PostgresBookkeeping):
    """One database. Open it with `async with`; all methods raise `Transient` where the database does not answer."""

    def __init__(self, url: str, model: Model) -> None:
        self._model = model
        self._recent = Recent()
        self._database = Database(url, broken=self._recent.clear)
        self._writer = Writer(url, model, self._recent, self._changed)
        self._following = asyncio.Lock()

    @property
    def model(self) -> Model:
        return self._model

    async def __aenter__(self) -> Self:
        await self._database.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._writer.close()
        await self._database.__aexit__()

    async def check_model(self) -> None:
        """Raises `Invalid` where the database was migrated for another model. One that was not migrated yet suits any."""
        try:
            found = await self._database.fetch("SELECT kind, fingerprint FROM kinds")
        except NotMigrated:
            return
        known, mine = {row["kind"]: row["fingerprint"] for row in found}, fingerprints(self._model)
        if found and known != mine:
            kinds = sorted(name for name in known.keys() | mine.keys() if known.get(name) != mine.get(name))
            raise Invalid(
                f"the database was migrated for another model, in which {', '.join(kinds)} are declared otherwise:"
                " run `tendril migrate` with this one"
            )

    async def append(self, units: Sequence[Unit]) -> list[Outcome]:
        return await self._writer.append(units)

    async def head(self) -> Head:
        (row,) = await self._database.look_up("SELECT position, at FROM head")
        return Head(position=row["position"], at=row["at"])

    async def events(self, after: int, limit: int) -> list[Event]:
        query = "SELECT * FROM events WHERE position > $1 ORDER BY position LIMIT $2"
        found = await self._database.look_up(query, after, limit)
        if found:
            await self._check_dense(after, found[0]["position"])
        return [rows.event(self._model, row) for row in found]

    def others_wrote(self) -> None:
        """Somebody has appended: the next reading of changes goes to the database, whatever is known here."""
        self._recent.others_wrote = True
        self._writer.remembered.heard(self._writer.remembered.position + 1)

    async def changes(self, after: int, limit: int) -> list[Change]:
        async with self._following:  # who asks meanwhile finds what this one read
            known = self._recent.after(after, limit)
            if not self._recent.suffice(known, limit):
                self._recent.others_wrote = False
                read = await self._read_changes(known[-1].position if known else after, limit - len(known))
                self._recent.put(read)
                self._writer.remembered.heard(self._recent.last)
                known += read
            return known

    async def _read_changes(self, after: int, limit: int) -> list[Change]:
        found = await self._database.look_up(
            f"SELECT e.position AS at, e.id, e.path AS was_path, e.uid AS was, e.kind AS was_kind,"
            f" e.correlation AS is_of, {_CHANGE_COLUMNS}"
            " FROM events e LEFT JOIN nodes n ON n.path = e.path AND n.uid = e.uid"
            " WHERE e.position > $1 ORDER BY e.position LIMIT $2",
            after,
            limit,
        )
        if found:
            await self._check_dense(after, found[0]["at"])
        return [
            Change(
                row["at"],
                row["id"],
                row["was_path"],
                row["was"],
                row["was_kind"],
                rows.node(self._model, row) if row["uid"] is not None else None,
                len(row["spec"]) + len(row["status"]) if row["uid"] is not None else 0,
                row["is_of"],
            )
            for row in found
        ]

    async def _changed(self, after: int, limit: int) -> list[Changed]:
        found = await self._database.look_up(
            "SELECT position, id, path, uid, op = 'deleted' FROM events WHERE position > $1 ORDER BY position LIMIT $2",
            after,
            limit,
        )
        return [Changed(*row) for row in found]

    async def _check_dense(self, after: int, first: int) -> None:
        """The log's last event is always kept, so what is missing of it is missing before something."""
        if first != after + 1:
            raise not_kept(after + 1, await self.oldest())

    def recall_node(self, path: str) -> Node | None:
        return self._writer.remembered.node(path)

    def recall_totals(self, owner: str) -> Totals | None:
        return self._writer.remembered.totals(owner)

    async def living(self, after: str, limit: int) -> list[Change]:
        found = await self._database.look_up(
            f"SELECT {rows.NODE_COLUMNS} FROM nodes WHERE path > $1 ORDER BY path LIMIT $2", after, limit
        )
        nodes = [rows.node(self._model, row) for row in found]
        return [Change(node.version, "", node.path, node.uid, node.kind, node) for node in nodes]

    async def count_nodes(self) -> int:
        (row,) = await self._database.fetch("SELECT count(*) AS n FROM nodes")
        return int(row["n"])

    async def event_id(self, position: int) -> str | None:
        found = await self._database.look_up("SELECT id FROM events WHERE position = $1", position)
        return found[0]["id"] if found else None

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        return snapshot(self._database.url, self._model)
