"""What jobs of a world say of their failures and of their time."""

from random import Random
from typing import Any, Literal

import msgspec

FAILS_WITH = 1
"""The exit code of the steps that fail."""
BACKOFF_MAX_S = 10.0
NEVER = 99
"""So often fail the chunks that are to fail for as long as they are tried."""


class Terms(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """See `docs/lifecycle.md`. `rule` is what `FAILS_WITH` means; `may_fail` and `enough` are numbers of chunks. A job of which
    nothing can be placed is `hopeless`. 0 where the job says nothing."""

    backoff_s: float = 0.0
    budget: int | None = None
    rule: Literal["", "fail", "ignore"] = ""
    may_fail: int = 0
    enough: int = 0
    job_s: float = 0.0
    queue_s: float = 0.0
    hopeless: bool = False


NO_TERMS = Terms()


def drawn(rng: Random, chunks: int, fails: int, *, by_exit: bool) -> Terms:
    """Some terms for a job whose chunks fail so often."""
    return Terms(
        backoff_s=rng.choice((0.0, 0.5, 3.0)),
        budget=rng.choice((None, None, chunks * fails, rng.randint(0, chunks))),
        rule=rng.choice(("", "fail", "ignore")) if fails and by_exit else "",
        may_fail=rng.choice((0, chunks // 2, chunks - 1)),
        enough=rng.choice((0, 0, rng.randint(1, chunks))),
        job_s=rng.choice((0.0, 0.0, 2.0, 30.0, 300.0)),
        queue_s=rng.choice((0.0, 0.0, 2.0, 30.0)),
    )


def spec_of(terms: Terms, chunks: int) -> dict[str, Any]:
    """The part of a job's spec."""
    policy: dict[str, Any] = {}
    if terms.backoff_s:
        policy |= {"backoffS": terms.backoff_s, "backoffMaxS": BACKOFF_MAX_S}
    if terms.budget is not None:
        policy["budget"] = terms.budget
    if terms.rule:
        policy["exitCodes"] = [
            {"ranges": [{"first": FAILS_WITH + 1, "last": 255}], "action": "retry"},
            {"codes": [FAILS_WITH], "action": terms.rule},
        ]
    completion = {"maxFailedChunks": min(terms.may_fail, chunks - 1), "succeedAfter": min(terms.enough, chunks)}
    deadlines = {"jobS": terms.job_s, "queueS": terms.queue_s}
    parts = {"retryPolicy": policy, "completion": _said(completion), "deadlines": _said(deadlines)}
    return _said(parts)


def _said(parts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parts.items() if value}
