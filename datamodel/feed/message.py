"""The feed's messages: one node's whole present, written without decoding its parts."""

from datetime import datetime

import msgspec

from datamodel.ports import Message

decode = msgspec.json.Decoder(Message).decode
"""A `Message` from a body; raises `msgspec.DecodeError`."""


def node_body(
    path: str,
    uid: str,
    kind: str,
    version: int,
    created_version: int,
    generation: int,
    deletion_requested_at: datetime | None,
    labels: str,
    spec: str,
    status: str,
) -> bytes:
    """The message of a living node. `labels`, `spec` and `status` are JSON texts; paths, uids and kinds need no escapes."""
    deleting = f',"deletionRequestedAt":"{deletion_requested_at.isoformat()}"' if deletion_requested_at else ""
    return (
        f'{{"path":"{path}","uid":"{uid}","kind":"{kind}","version":{version},"createdVersion":{created_version},'
        f'"generation":{generation}{deleting},"labels":{labels},"spec":{spec},"status":{status}}}'
    ).encode()


def tombstone(path: str, uid: str, kind: str, version: int) -> bytes:
    """The message of a node that is gone."""
    return f'{{"path":"{path}","uid":"{uid}","kind":"{kind}","version":{version},"deleted":true}}'.encode()
