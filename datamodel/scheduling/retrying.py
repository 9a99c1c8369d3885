"""How a chunk that has failed is tried again: after which pause, how often altogether, and what its exit code means."""

import zlib
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from datamodel.kinds import Document, Part

PAUSE_LIMIT_S = 86_400.0
BUDGET_LIMIT = 100_000_000
RULES_LIMIT, CODES_LIMIT = 16, 64
NON_ZERO_EXIT = "NonZeroExit"
"""The reason of an attempt that failed by an exit code and by nothing else: what the rules are for."""

AGAIN, FAIL, IGNORE = "retry", "fail", "ignore"
"""What becomes of a step that has ended with an exit code."""

SPREAD = 0.25
"""The most of a pause that is taken off it, so that those that failed together do not come back together."""

_Code = Annotated[int, Field(ge=1, le=255, strict=True)]


class ExitCodeRange(Part):
    """Exit codes from the first to the last."""

    first: _Code
    last: _Code

    @model_validator(mode="after")
    def _is_in_order(self) -> "ExitCodeRange":
        if self.last < self.first:
            raise ValueError("the last code is below the first")
        return self


class ExitCodeRule(Part):
    """What some exit codes mean."""

    codes: Annotated[tuple[_Code, ...] | None, Field(min_length=1, max_length=CODES_LIMIT)] = None
    ranges: Annotated[tuple[ExitCodeRange, ...] | None, Field(min_length=1, max_length=CODES_LIMIT)] = None
    action: Annotated[
        Literal["retry", "fail", "ignore"],
        Field(
            description="retry: as any failure; fail: the chunk is not tried again, however many retries are left;"
            " ignore: as with continueOnError"
        ),
    ]

    @model_validator(mode="after")
    def _names_codes(self) -> "ExitCodeRule":
        if self.codes is None and self.ranges is None:
            raise ValueError("a rule has codes or ranges")
        return self


class RetryPolicy(Part):
    """Beside `retries`, which are counted for each chunk."""

    backoff_s: Annotated[
        float | None,
        Field(
            gt=0, le=PAUSE_LIMIT_S, allow_inf_nan=False, description="pause after a chunk's first failure; absent: none"
        ),
    ] = None
    backoff_factor: Annotated[
        float, Field(ge=1, le=10, allow_inf_nan=False, description="how much longer it is after each further failure")
    ] = 2.0
    backoff_max_s: Annotated[
        float | None,
        Field(gt=0, le=PAUSE_LIMIT_S, allow_inf_nan=False, description="the longest pause; absent: a day"),
    ] = None
    budget: Annotated[
        int | None,
        Field(
            ge=0,
            le=BUDGET_LIMIT,
            strict=True,
            description="failures of all chunks together that are tried again; with one more the job fails",
        ),
    ] = None
    exit_codes: Annotated[
        tuple[ExitCodeRule, ...] | None,
        Field(min_length=1, max_length=RULES_LIMIT, description="the first rule that names a step's exit code holds"),
    ] = None

    @model_validator(mode="after")
    def _has_a_pause_below_its_bound(self) -> "RetryPolicy":
        if self.backoff_max_s is not None and (self.backoff_s is None or self.backoff_max_s < self.backoff_s):
            raise ValueError("backoffMaxS is the bound of a backoffS that is no longer")
        return self


def pause_s(policy: Document, owner: str, index: int, failures: int) -> float:
    """How many seconds after a chunk's newest failure, which is its `failures`th, it may be tried again; 0 where its job says
    nothing. The same for the same chunk and failure, and another for others."""
    first_s = policy.get("backoffS")
    if first_s is None or failures < 1:
        return 0.0
    whole_s = min(
        first_s * policy.get("backoffFactor", 2.0) ** min(failures - 1, 200), policy.get("backoffMaxS", PAUSE_LIMIT_S)
    )
    lot = zlib.crc32(f"{owner}-{index}-{failures}".encode()) / 2**32
    return float(whole_s * (1.0 - SPREAD * lot))


def action_of(rules: Sequence[Document], status: Document) -> str:
    """What the rules of a job say to the end of an attempt that has failed."""
    codes = status.get("exitCodes")
    if not rules or not codes or status.get("reason") != NON_ZERO_EXIT:
        return AGAIN
    return next((rule["action"] for rule in rules if _names(rule, codes[-1])), AGAIN)


def ignored(rules: Sequence[Document]) -> tuple[int, ...]:
    """The exit codes that are ignored, in order."""
    if not rules:
        return ()
    return tuple(
        code
        for code in range(1, 256)
        if next((rule["action"] for rule in rules if _names(rule, code)), AGAIN) == IGNORE
    )


def _names(rule: Document, code: int) -> bool:
    return code in rule.get("codes", ()) or any(
        some["first"] <= code <= some["last"] for some in rule.get("ranges", ())
    )
