"""Answers: JSON that is encoded once, straight from what was read."""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from datamodel.kinds import Document
from datamodel.model import Model
from datamodel.names import last_name
from datamodel.node import Node
from gateway.defaults import completed

_encode = msgspec.json.Encoder().encode


def json_answer(
    document: object, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(_encode(document), status, headers, "application/json")


def node_document(model: Model, node: Node) -> Document:
    """A node as REST shows it: `metadata`, `spec` and `status`, the status complete with its declared defaults."""
    return {
        "metadata": metadata(node),
        "spec": node.encodable_spec,
        "status": completed(model.kinds[node.kind].Status, node.status),
    }


def metadata(node: Node) -> Document:
    """What is true of a node beside its spec and status."""
    document: Document = {
        "name": last_name(node.path),
        "path": node.path,
        "uid": node.uid,
        "kind": node.kind,
        "labels": node.labels,
        "generation": node.generation,
        "version": node.version,
        "createdAt": node.created_at,
    }
    if node.deletion_requested_at is not None:
        document["deletionRequestedAt"] = node.deletion_requested_at
    if node.links:
        document["links"] = node.links
    if node.finalizers:
        document["finalizers"] = node.finalizers
    return document
