"""Compressed answers, for who takes them."""

import re

from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

COMPRESSED_BYTES = 1_024
"""Shorter answers stay as they are."""

_REFUSED = re.compile(rb"gzip\s*;\s*q=0(\.0{0,3})?\s*(,|$)", re.IGNORECASE)


class Compressed(GZipMiddleware):
    """As Starlette has it, which takes the name of the encoding for a wish, also where it is there to be refused (`q=0`,
    RFC 9110, 12.4.2). Artifacts stay as they are: ranges are of what is stored."""

    def __init__(self, app: ASGIApp) -> None:
        excluded = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "application/octet-stream")
        super().__init__(app, COMPRESSED_BYTES, 5, exclude_content_types=excluded)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for name, value in scope.get("headers", ()):
            if name == b"accept-encoding" and _REFUSED.search(value) is not None:
                others = [header for header in scope["headers"] if header[0] != b"accept-encoding"]
                scope = {**scope, "headers": others}
        await super().__call__(scope, receive, send)
