"""Signatures as Standard Webhooks has them: HMAC-SHA256 over the id, the time and the body.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md. Its Python package brings a client
and parsers of dates for what are five lines here.
"""

import base64
import binascii
import hashlib
import hmac

from pydantic import SecretStr

from datamodel.errors import Invalid

PREFIX = "whsec_"
LEAST_BYTES, MOST_BYTES = 24, 64


def headers_of(message: str, timestamp_s: int, body: bytes, secret: SecretStr | None) -> dict[str, str]:
    """What goes with a body under an id, at a time in seconds since 1970. Without a secret it is not signed. Raises `Invalid`,
    which shows nothing of it, for a secret that is none of Standard Webhooks'."""
    headers = {"webhook-id": message, "webhook-timestamp": str(timestamp_s)}
    if secret is not None:
        signed = hmac.new(_key(secret), b".".join((message.encode(), str(timestamp_s).encode(), body)), hashlib.sha256)
        headers["webhook-signature"] = f"v1,{base64.b64encode(signed.digest()).decode()}"
    return headers


def _key(secret: SecretStr) -> bytes:
    try:
        key = base64.b64decode(secret.get_secret_value().strip().removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise Invalid(
            f"a secret that signs is {LEAST_BYTES} to {MOST_BYTES} bytes in base64, with {PREFIX} before it or not"
        )
    return key
