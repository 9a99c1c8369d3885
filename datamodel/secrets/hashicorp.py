"""Secrets in a KV store, version 2, of HashiCorp's Vault or OpenBao, by its HTTP API.

A scope's secret is at `MOUNT/PATH/SCOPE/NAME`, so its owner may as well put it there with Vault's own tools. A scope's uid
plays no part: whoever removes a node removes its secrets from there.

https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2
"""

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import msgspec

from datamodel.errors import Forbidden, Invalid, Transient
from datamodel.secrets.ports import Described, Scope
from datamodel.secrets.value import Values, hidden, revealed

TIMEOUT_S = 5.0
ANSWER_LIMIT_BYTES = 4 * 1024 * 1024
_AT_A_TIME = 8


Shape = TypeVar("Shape", bound=msgspec.Struct)


class _Metadata(msgspec.Struct):
    current_version: int
    created_time: datetime
    updated_time: datetime


class _Keys(msgspec.Struct):
    keys: list[str]


class _Data(msgspec.Struct):
    data: dict[str, str] | None

    def __repr__(self) -> str:
        return "_Data()"


class HashicorpSecrets:
    """The ports `Keeping` and `Revealing`, as far as the token's policy goes. Open it with `async with`.

    The token is read from its file for each request: whoever renews it writes another one there.
    """

    def __init__(self, url: str, token_file: Path, *, mount: str, path: str) -> None:
        self._token_file = token_file
        self._mount, self._path = mount.strip("/"), path.strip("/")
        self._client = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, trust_env=False, follow_redirects=False)
        self._slots = asyncio.Semaphore(_AT_A_TIME)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def put(self, scope: Scope, name: str, values: Values) -> Described:
        await self._ask("POST", "data", scope, name, {"data": revealed(values)})
        described = await self._described(scope, name)
        if described is None:
            raise Transient(f"the vault does not have the secret {name} that it has taken")
        return described

    async def described(self, scope: Scope, names: Collection[str]) -> dict[str, Described]:
        found = await asyncio.gather(*(self._described(scope, name) for name in names))
        return {one.name: one for one in found if one is not None}

    async def listed(self, scope: Scope, after: str, limit: int) -> Sequence[Described]:
        answer = await self._ask("LIST", "metadata", scope, "")
        names = sorted(_decoded(answer, _Keys).keys) if answer is not None else []
        page = [name for name in names if name > after and not name.endswith("/")][:limit]  # the others are directories
        found = await self.described(scope, page)
        return [found[name] for name in page if name in found]

    async def delete(self, scope: Scope, name: str) -> bool:
        """With all its versions."""
        existed = await self._described(scope, name) is not None
        await self._ask("DELETE", "metadata", scope, name)
        return existed

    async def reveal(self, scope: Scope, names: Collection[str]) -> dict[str, Values]:
        answers = await asyncio.gather(*(self._ask("GET", "data", scope, name) for name in names))
        found = {name: _decoded(answer, _Data).data for name, answer in zip(names, answers, strict=True) if answer}
        return {name: hidden(values) for name, values in found.items() if values is not None}

    async def _described(self, scope: Scope, name: str) -> Described | None:
        answer = await self._ask("GET", "metadata", scope, name)
        if answer is None:
            return None
        known = _decoded(answer, _Metadata)
        return Described(name, known.current_version, known.created_time, known.updated_time)

    async def _ask(
        self, method: str, part: str, scope: Scope, name: str, document: dict[str, Any] | None = None
    ) -> bytes | None:
        """The body of an answer; None where there is no such secret. No error shows what was sent or answered."""
        path = "/".join(word for word in (self._path, scope.name, name) if word)
        url = f"/v1/{self._mount}/{part}/{path}"
        try:
            async with self._slots:
                answer = await self._client.request(
                    method, url, json=document, headers={"X-Vault-Token": self._token()}
                )
        except httpx.HTTPError as error:
            raise Transient(f"the vault does not answer: {type(error).__name__}") from None
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        if answer.status_code in (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN):
            raise Forbidden(f"the vault refuses {method} {part}/{path} by its token's policy, or has no such mount")
        if not answer.is_success:
            raise Transient(f"the vault answered {answer.status_code} to {method} {part}/{path}")
        if len(answer.content) > ANSWER_LIMIT_BYTES:
            raise Invalid(f"the vault answered more than {ANSWER_LIMIT_BYTES} bytes")
        return answer.content

    def _token(self) -> str:
        try:
            return self._token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise Transient(f"the token of the vault cannot be read from {self._token_file}") from None


def _decoded(answer: bytes, shape: type[Shape]) -> Shape:
    """The `data` of an answer. Raises `Invalid`, which shows none of it, for another one, and for values that are no text."""
    try:
        return msgspec.convert(msgspec.json.decode(answer)["data"], shape)
    except (msgspec.MsgspecError, KeyError, TypeError, RecursionError):
        raise Invalid("the vault answered something else than secrets whose values are text") from None
