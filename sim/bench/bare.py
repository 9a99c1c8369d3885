"""What the gateway is measured beside: plain FastAPI routes that run the same SQL and answer the same JSON, and nothing else.

No graph, no problem documents, no request ids, no conditions, no compression: what somebody would write for these answers
alone who knows the tables. `python -m sim.bench.bare` serves them as the gateway is served, by uvicorn with its settings.
"""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import asyncpg
import msgspec
from fastapi import FastAPI, Query, Request, Response

from datamodel.errors import NotFound
from datamodel.postgres.connect import open_pool
from datamodel.postgres.database import CONNECTIONS
from datamodel.postgres.graph import NODES
from datamodel.program import run_program
from deploy.local.ports import HOST
from gateway.server import Server
from sim.bench.bare_graphql import BY_KIND, SCHEMA, Loading

Pool = asyncpg.Pool

_HEAD = "SELECT position FROM head"
_EVENT = "SELECT id FROM events WHERE position = $1"
_STATUS = {"phase": "pending", "observedGeneration": 0, "percentCompleted": 0.0, "conditions": ()}
_CHUNKS = dict.fromkeys(("pending", "placed", "running", "retrying", "succeeded", "failed", "aborted"), 0)
_decode = msgspec.json.Decoder().decode


def create_app(keyed: "Pool[asyncpg.Record]", of_any: "Pool[asyncpg.Record]") -> FastAPI:
    """The routes over the two pools that the gateway has too."""
    app = FastAPI()

    @app.get("/v1/config/job-groups/{group}/jobs/{job}")
    async def node(group: str, job: str) -> Response:
        found = await keyed.fetch(NODES, [f"/config/job-groups/{group}/jobs/{job}"])
        if not found:
            raise NotFound(job)
        return _answer(_document(found[0]))

    @app.get("/v1/config/job-groups/{group}/jobs")
    async def nodes(group: str, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
        position = (await keyed.fetch(_HEAD))[0]["position"]
        event = (await keyed.fetch(_EVENT, position))[0]["id"]
        path = f"/config/job-groups/{group}/jobs"
        found = await keyed.fetch(BY_KIND, f"{path}/", f"{path}0", limit, "Job")
        items = [_document(row) for row in found]
        answer = {"items": items, "cursor": None, "position": position, "bookmark": f"{position}-{event}"}
        return _answer(answer)

    @app.post("/graphql")
    async def graphql(request: Request) -> Response:
        asked = _decode(await request.body())
        result = await SCHEMA.execute(
            asked["query"], variable_values=asked["variables"], context_value=Loading(keyed, of_any)
        )
        return _answer({"data": result.data, **({"errors": result.errors} if result.errors else {})})

    return app


def _document(row: asyncpg.Record) -> dict[str, Any]:
    metadata = {
        "name": row["path"].rpartition("/")[2],
        "path": row["path"],
        "uid": row["uid"],
        "kind": row["kind"],
        "labels": msgspec.Raw(row["labels"].encode()),
        "generation": row["generation"],
        "version": row["version"],
        "createdAt": row["created_at"],
    }
    if row["finalizers"]:
        metadata["finalizers"] = row["finalizers"]
    status = {**_STATUS, **_decode(row["status"])}
    if "chunks" in status:
        status["chunks"] = {**_CHUNKS, **status["chunks"]}
    return {"metadata": metadata, "spec": msgspec.Raw(row["spec"].encode()), "status": status}


def _answer(document: object) -> Response:
    return Response(msgspec.json.encode(document), media_type="application/json")


async def _serve(url: str, port: int) -> None:
    keyed, of_any = [await open_pool(url, CONNECTIONS, keyed=keyed, connected=_nothing) for keyed in (True, False)]
    try:
        await Server(create_app(keyed, of_any), HOST, port, stopping=_nothing).serve()
    finally:
        for pool in (keyed, of_any):
            pool.terminate()


def _nothing() -> None:
    return


def main(arguments: Sequence[str] = sys.argv) -> int:
    """With the port as its argument."""
    return run_program("bare", lambda: _serve(os.environ["TENDRIL_DATABASE_URL"], int(arguments[1])))


if __name__ == "__main__":
    sys.exit(main())
