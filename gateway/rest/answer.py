"""Answers: JSON that is encoded once, straight from what was read."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from datamodel.kinds import Document
from datamodel.model import Model
from datamodel.names import last_name
from datamodel.node import Node
from gateway.defaults import completed_to_encode

_encode = msgspec.json.Encoder().encode


def json_answer(
    document: object, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(_encode(document), status, headers, "application/json")


def node_document(model: Model, node: Node) -> Document:
    """What REST shows of a node, to be encoded: `metadata`, `spec`, and `status` complete with its declared defaults."""
    return {
        "metadata": metadata(node),
        "spec": node.encodable_spec,
        "status": completed_to_encode(model.kinds[node.kind].Status, node.encodable_status),
    }


class Metadata(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """What is true of a node beside its spec and status."""

    name: str
    path: str
    uid: str
    kind: str
    labels: Mapping[str, str]
    generation: int
    version: int
    created_at: datetime
    deletion_requested_at: datetime | None = None
    links: Mapping[str, Sequence[str]] = {}
    finalizers: Sequence[str] = ()


def metadata(node: Node) -> Metadata:
    return Metadata(  # in its order: names cost as much again as all of this
        last_name(node.path),
        node.path,
        node.uid,
        node.kind,
        node.labels,
        node.generation,
        node.version,
        node.created_at,
        node.deletion_requested_at,
        node.links,
        node.finalizers,
    )
