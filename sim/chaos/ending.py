"""What the public API says when all work should have ended."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import httpx

from datamodel.scheduling.attempts import claim_of
from datamodel.scheduling.jobs import FINISHED
from sim.chaos.evidence import AttemptSeen
from sim.chaos.history import Seen, seen
from sim.chaos.load import GROUP
from sim.chaos.machine import Machine, until

PAGE = 1000


async def quiet(up: Machine, *, timeout_s: float) -> None:
    """Returns when all jobs have ended, or the time is over: what is unfinished then is the checker's to name."""

    async def ended() -> bool:
        jobs = await _listed(up, "/v1/jobs", {"group": GROUP})
        return all(job["status"]["phase"] in FINISHED for job in jobs)

    with suppress(TimeoutError):
        await until(ended, timeout_s=timeout_s)


async def last_words(up: Machine, names: Iterable[str]) -> dict[str, Seen | None]:
    """Each job as it is now; None where there is none of that name."""
    return {name: await _last_word(up, name) for name in names}


async def attempts(up: Machine, edges: Iterable[tuple[str, str]]) -> tuple[AttemptSeen, ...]:
    """All attempts on these edges, each by its site and name."""
    return tuple([attempt for site, edge in edges for attempt in await _attempts(up, site, edge)])


async def _last_word(up: Machine, name: str) -> Seen | None:
    answer = await up.ask("GET", f"/v1/jobs/{GROUP}/{name}")
    return seen(answer.json()) if answer.status_code == httpx.codes.OK else None


async def _attempts(up: Machine, site: str, edge: str) -> list[AttemptSeen]:
    found = []
    for node in await _listed(up, f"/v1/desired-config/sites/{site}/edges/{edge}/attempts", {}):
        claim = claim_of(node["metadata"]["path"])
        assert claim is not None, "the system names attempts so"
        status = node["status"]
        name, phase, settlement = node["metadata"]["name"], status["phase"], status["settlement"]
        reason = node["spec"].get("intentReason") or ""
        found.append(AttemptSeen(edge, name, claim.owner, claim.index, claim.epoch, phase, settlement, reason, site))
    return found


async def _listed(up: Machine, path: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = await up.ask(
            "GET", path, params={**query, "limit": str(PAGE)} | ({"cursor": cursor} if cursor else {})
        )
        if answer.status_code == httpx.codes.NOT_FOUND:
            return items
        page = answer.json()
        items += page["items"]
        cursor = page.get("cursor")
        if not cursor:
            return items
