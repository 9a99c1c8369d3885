"""Secrets of job groups, as the gateway may use them: it takes them in and tells their names, and cannot read them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from datamodel.command import Command
from datamodel.errors import Forbidden, Invalid
from datamodel.names import last_name
from datamodel.secrets.ports import Keeping, Scope
from datamodel.secrets.value import DEFAULT_KEY
from gateway.backend import Backend


def keeping(backend: Backend) -> Keeping:
    """Raises `Forbidden` where no secrets are taken in."""
    if backend.secrets is None:
        raise Forbidden("no secrets are kept here: the gateway has no TENDRIL_SECRETS_PUBLIC_KEY")
    return backend.secrets


async def scope_of(backend: Backend, group: str) -> Scope:
    """The scope of the secrets of a group, by its path. Raises `NotFound` where there is no such group."""
    node = await backend.node(group)
    return Scope(last_name(group), node.uid)


async def check_secrets(backend: Backend, creation: Command) -> None:
    """Raises `Invalid` with a pointer to the first reference of a new job's steps or callbacks to a secret, or to a key of one,
    that its group does not have. What is no reference is left to the rule book."""
    references = list(_references(creation.body))
    if not references:
        return
    group, _, _ = creation.path.rpartition("/jobs/")
    kept = await keeping(backend).described(await scope_of(backend, group), {name for _, name, _ in references})
    for pointer, name, key in references:
        found = kept.get(name)
        if found is None:
            raise Invalid(f"the group {last_name(group)} has no secret {name[:80]!r}", field=f"/spec{pointer}/secret")
        if found.keys is not None and key not in found.keys:
            raise Invalid(f"the secret {name} has no key {key[:80]!r}", field=f"/spec{pointer}/key")


def _references(spec: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Pointer, secret and key of each, as far as they are of the right shape."""
    for at, step in enumerate(_list(spec.get("steps"))):
        uses = _list(step.get("secrets")) if isinstance(step, dict) else []
        for number, use in enumerate(uses):
            yield from _reference(use, f"/steps/{at}/secrets/{number}")
    for number, callback in enumerate(_list(spec.get("callbacks"))):
        yield from _reference(callback, f"/callbacks/{number}")


def _reference(use: Any, pointer: str) -> Iterator[tuple[str, str, str]]:
    name = use.get("secret") if isinstance(use, dict) else None
    key = (use.get("key") or DEFAULT_KEY) if isinstance(use, dict) else None
    if isinstance(name, str) and isinstance(key, str):
        yield pointer, name, key


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
