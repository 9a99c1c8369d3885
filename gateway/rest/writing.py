"""What writes a node of any kind: create, apply, patch, delete; on a condition, once for a key, or as a dry run."""

from collections.abc import Callable
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from datamodel.command import Command, Verdict, raise_refused
from datamodel.errors import Invalid
from datamodel.kinds import Document
from datamodel.names import check_name, last_name
from gateway.backend import Backend
from gateway.deletion import effects_of
from gateway.exposure import check_deletable
from gateway.labels import checked_labels, escaped
from gateway.patches import JSON_PATCH, MERGE_PATCH, write_patch
from gateway.rest.answer import json_answer, node_document
from gateway.rest.body import read_document, read_json
from gateway.rest.conditions import conditions_of, etag_of, expected_version, must_be_absent
from gateway.rest.query import flag_of
from gateway.rest.replay import replay_guard

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


class Writing:
    """The handlers. `path_of` reads the node's path off a request's address; it raises `NotFound` where there can be none."""

    def __init__(self, backend: Backend, path_of: Callable[[Request], str]) -> None:
        self._backend = backend
        self._path = path_of

    async def create(self, request: Request, collection: Callable[[str], str]) -> Response:
        """`collection` is the path of the node of a name, and raises where there can be none."""
        dry_run = flag_of(request.query_params, "dryRun")
        document, body = await read_document(request)
        meta, spec = _parts(document)
        name = meta.get("name")
        if not isinstance(name, str):
            raise Invalid("a name is required: a DNS label", field="/metadata/name")
        path = collection(check_name(name))
        verdict = await self._carry_out(request, Command("create", path, spec, _labels(meta)), body, dry_run=dry_run)
        status = HTTPStatus.OK if dry_run else HTTPStatus.CREATED
        return await self._answer(verdict, status, {} if dry_run else {"Location": f"/v1{path}"})

    async def put(self, request: Request) -> Response:
        path, dry_run, absent = self._path(request), flag_of(request.query_params, "dryRun"), must_be_absent(request)
        document, body = await read_document(request)
        meta, spec = _parts(document)
        if meta.get("name", last_name(path)) != last_name(path):
            raise Invalid("the name is not the one in the address", field="/metadata/name")
        version = await expected_version(self._backend, request, path)
        command = Command("create" if absent else "apply", path, spec, _labels(meta), expected_version=version)
        verdict = await self._carry_out(request, command, body, dry_run=dry_run)
        node = await self._backend.node_after(verdict)
        created = absent or (verdict.outcome == "changed" and verdict.version == node.created_version)
        return await self._answer(verdict, HTTPStatus.CREATED if created and not dry_run else HTTPStatus.OK)

    async def patch(self, request: Request) -> Response:
        path, dry_run = self._path(request), flag_of(request.query_params, "dryRun")
        patch, body, media_type = await read_json(request, (MERGE_PATCH, JSON_PATCH))
        version = await expected_version(self._backend, request, path)

        async def write(command: Command) -> Verdict:
            return await self._carry_out(request, command, body, dry_run=dry_run)

        with conditions_of(request):
            verdict = await write_patch(self._backend, path, media_type, patch, version, write)
        return await self._answer(verdict, HTTPStatus.OK)

    async def delete(self, request: Request) -> Response:
        path, preview = self._path(request), flag_of(request.query_params, "preview")
        check_deletable(self._backend.model, path)
        version = await expected_version(self._backend, request, path)
        command = Command("delete", path, expected_version=version)
        verdict = await self._carry_out(request, command, b"", dry_run=preview)
        if preview:
            return json_answer(effects_of(verdict))
        node = verdict.node
        if verdict.replayed and (present := await self._backend.reads.node(path)) is not None:
            node = present if present.uid == verdict.uid else None
        if node is None:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        return json_answer(node_document(self._backend.model, node), HTTPStatus.ACCEPTED, etag_of(node))

    async def _carry_out(self, request: Request, command: Command, body: bytes, *, dry_run: bool) -> Verdict:
        key, digest = replay_guard(request, body)
        with conditions_of(request):
            outcome = await self._backend.append((command,), key=key, digest=digest, dry_run=dry_run)
            (verdict,) = raise_refused(outcome)
        return verdict

    async def _answer(self, verdict: Verdict, status: HTTPStatus, headers: Document | None = None) -> Response:
        node = await self._backend.node_after(verdict)
        return json_answer(node_document(self._backend.model, node), status, {**etag_of(node), **(headers or {})})


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
