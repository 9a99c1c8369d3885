"""What writes a node of any kind: create, apply, patch, delete; on a condition, once for a key, or as a dry run."""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from datamodel.command import Command, Verdict
from datamodel.errors import Invalid, NotFound
from datamodel.kinds import Document
from datamodel.names import check_name, last_name
from datamodel.node import Node
from gateway.backend import Backend
from gateway.deletion import effects_of
from gateway.exposure import check_deletable
from gateway.labels import checked_labels, escaped
from gateway.once import Once
from gateway.patches import JSON_PATCH, MERGE_PATCH, write_patch
from gateway.rest.answer import json_answer, node_document
from gateway.rest.body import read_document, read_json
from gateway.rest.conditions import IF_MATCH, conditions_of, etag_of, expected_version, must_be_absent
from gateway.rest.query import flag_of
from gateway.rest.replay import KEY, once_of
from gateway.rest.route import READING

DRY_RUN: Document = {
    "name": "dryRun",
    "in": "query",
    "schema": {"type": "boolean", "default": False},
    "description": "tell what would be, and write nothing",
}
PREVIEW: Document = {
    "name": "preview",
    "in": "query",
    "schema": {"type": "boolean", "default": False},
    "description": "tell what would become of which nodes, and delete nothing",
}

DELETING: tuple[Document, ...] = (PREVIEW, IF_MATCH, KEY)
DELETING_PROBLEMS = (
    *READING,
    HTTPStatus.CONFLICT,
    HTTPStatus.PRECONDITION_FAILED,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)


class Writing:
    """The handlers. `path_of` reads the node's path off a request's address; it raises `NotFound` where there can be none.
    `shown` is the node as it is answered."""

    def __init__(
        self, backend: Backend, path_of: Callable[[Request], str], shown: Callable[[Node], Document] | None = None
    ) -> None:
        self._backend = backend
        self._path = path_of
        self._shown = shown or partial(node_document, backend.model)

    async def create(self, request: Request, collection: Callable[[str], str]) -> Response:
        """`collection` is the path of the node of a name, and raises where there can be none."""
        dry_run = flag_of(request.query_params, "dryRun")
        document, body = await read_document(request)
        meta, spec = _parts(document)
        name = meta.get("name")
        if not isinstance(name, str):
            raise Invalid("a name is required: a DNS label", field="/metadata/name")
        path = collection(check_name(name))
        once = once_of(self._backend, request, body, dry_run=dry_run)
        verdict = await _carry_out(once, request, Command("create", path, spec, _labels(meta)))
        status = HTTPStatus.OK if dry_run else HTTPStatus.CREATED
        return await self._answer(verdict, status, {} if dry_run else {"Location": f"/v1{path}"})

    async def put(self, request: Request) -> Response:
        path, dry_run, absent = self._path(request), flag_of(request.query_params, "dryRun"), must_be_absent(request)
        document, body = await read_document(request)
        meta, spec = _parts(document)
        if meta.get("name", last_name(path)) != last_name(path):
            raise Invalid("the name is not the one in the address", field="/metadata/name")
        once = once_of(self._backend, request, body, dry_run=dry_run)
        version = await expected_version(once, request, path)
        command = Command("create" if absent else "apply", path, spec, _labels(meta), expected_version=version)
        verdict = await _carry_out(once, request, command)
        node = await self._backend.node_after(verdict)
        created = absent or (verdict.outcome == "changed" and verdict.version == node.created_version)
        return await self._answer(verdict, HTTPStatus.CREATED if created and not dry_run else HTTPStatus.OK)

    async def patch(self, request: Request) -> Response:
        path, dry_run = self._path(request), flag_of(request.query_params, "dryRun")
        patch, body, media_type = await read_json(request, (MERGE_PATCH, JSON_PATCH))
        once = once_of(self._backend, request, body, dry_run=dry_run)
        version = await expected_version(once, request, path)
        with conditions_of(request):
            verdict = await write_patch(once, path, media_type, patch, version)
        return await self._answer(verdict, HTTPStatus.OK)

    async def delete(self, request: Request) -> Response:
        path, preview = self._path(request), flag_of(request.query_params, "preview")
        check_deletable(self._backend.model, path)
        once = once_of(self._backend, request, dry_run=preview)
        version = await expected_version(once, request, path)
        verdict = await _carry_out(once, request, Command("delete", path, expected_version=version))
        if preview:
            return json_answer(effects_of(verdict))
        node = verdict.node
        if verdict.replayed and (present := await self._backend.reads.node(path)) is not None:
            node = present if present.uid == verdict.uid else None
        if node is None:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        return json_answer(self._shown(node), HTTPStatus.ACCEPTED, etag_of(node))

    async def _answer(self, verdict: Verdict, status: HTTPStatus, headers: Document | None = None) -> Response:
        node = await self._backend.node_after(verdict)
        return json_answer(self._shown(node), status, {**etag_of(node), **(headers or {})})


async def _carry_out(once: Once, request: Request, command: Command) -> Verdict:
    try:
        with conditions_of(request):
            return await once.write(command)
    except NotFound as error:
        error.field = ""  # the parent is in the address, and in nothing that was sent
        raise


def _parts(document: Document) -> tuple[Document, Document]:
    """Metadata and spec of a sent node. Raises `Invalid` naming what is none of both or no object."""
    for name, value in document.items():
        if name not in ("metadata", "spec"):
            raise Invalid("a document has `metadata` and `spec`", field=f"/{escaped(name)}")
        if not isinstance(value, dict):
            raise Invalid("this must be an object", field=f"/{name}")
    meta: Document = document.get("metadata", {})
    for name in meta:
        if name not in ("name", "labels"):
            raise Invalid("metadata has `name` and `labels`", field=f"/metadata/{escaped(name)}")
    return meta, document.get("spec", {})


def _labels(meta: Document) -> dict[str, str] | None:
    return checked_labels(meta["labels"], "/metadata/labels") if "labels" in meta else None
