"""Secrets in memory: a verified fake, behind the same contract suite as the real ones."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from datamodel.errors import Conflict
from datamodel.secrets.ports import SECRETS_LIMIT, Described, Scope
from datamodel.secrets.value import Values


class MemorySecrets:
    """The ports `Keeping` and `Revealing`."""

    def __init__(self) -> None:
        self._kept: dict[Scope, dict[str, tuple[Described, Values]]] = {}

    async def put(self, scope: Scope, name: str, values: Values) -> Described:
        kept = self._kept.setdefault(scope, {})
        now = datetime.now(UTC)
        before = kept.get(name)
        if before is None and len(kept) >= SECRETS_LIMIT:
            raise Conflict(f"{scope.name} has {SECRETS_LIMIT} secrets already")
        version, created = (before[0].version + 1, before[0].created_at) if before is not None else (1, now)
        described = Described(name, version, created, now, tuple(sorted(values)))
        kept[name] = described, values
        return described

    async def described(self, scope: Scope, names: Collection[str]) -> dict[str, Described]:
        kept = self._kept.get(scope, {})
        return {name: kept[name][0] for name in names if name in kept}

    async def listed(self, scope: Scope, after: str, limit: int) -> Sequence[Described]:
        kept = self._kept.get(scope, {})
        return [kept[name][0] for name in sorted(kept) if name > after][:limit]

    async def delete(self, scope: Scope, name: str) -> bool:
        return self._kept.get(scope, {}).pop(name, None) is not None

    async def reveal(self, scope: Scope, names: Collection[str]) -> dict[str, Values]:
        kept = self._kept.get(scope, {})
        return {name: kept[name][1] for name in names if name in kept}
