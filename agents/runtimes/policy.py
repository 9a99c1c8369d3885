"""What an edge's operator lets containers have, and what is refused by it. Pure."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from agents.runtimes.images import is_allowed
from agents.runtimes.protocol import Refusal, Step, Work
from agents.runtimes.reasons import (
    DIGEST_REQUIRED,
    IMAGE_FORBIDDEN,
    LIMIT_FORBIDDEN,
    NETWORK_FORBIDDEN,
    ROOT_FORBIDDEN,
)
from datamodel.scheduling.images import image_name

MIB = 2**20


class Policy(msgspec.Struct, frozen=True):
    """The operator's word, for every step on these edges.

    `networks` are allowed beside none; `images` are patterns as in `images.is_allowed`. `pids`, `tmp_bytes` and
    `swap_bytes` are the most that a job can ask for; `log_bytes` is what the engine keeps of each step's output.
    `registry_auth` is a file in the format of docker's `config.json`.
    """

    networks: tuple[str, ...] = ()
    images: tuple[str, ...] = ("*",)
    digests: bool = False
    root: bool = False
    pids: int = 512
    tmp_bytes: int = 1024 * MIB
    swap_bytes: int = 0
    log_bytes: int = 2 * MIB
    registry_auth: Path | None = None

    def refusal(self, work: Work) -> Refusal | None:
        """The first thing about the work that is not allowed; all steps are looked at before the first of them runs."""
        return next(self._refusals(work), None)

    def pids_of(self, work: Work) -> int:
        return work.limits.pids or self.pids

    def tmp_bytes_of(self, work: Work) -> int:
        """Half of the memory unless the job says: what is there counts as memory, and a full `/tmp` is better told."""
        return work.limits.tmp_bytes or min(self.tmp_bytes, work.memory_bytes // 2 or self.tmp_bytes)

    def user_of(self, step: Step, image_user: str) -> str:
        """Whom a step runs as: its own word, then its image's, then nobody; empty for what the image says."""
        if step.user or self.root or not _is_root(image_user):
            return step.user
        return NOBODY

    def _refusals(self, work: Work) -> Iterator[Refusal]:
        if work.network != "none" and work.network not in self.networks:
            allowed = ", ".join(("none", *self.networks))
            yield Refusal(
                NETWORK_FORBIDDEN, f"network {work.network!r} is not allowed on this edge; allowed: {allowed}"
            )
        for name, asked, most in (
            ("pids", work.limits.pids, self.pids),
            ("tmpBytes", work.limits.tmp_bytes, self.tmp_bytes),
            ("swapBytes", work.limits.swap_bytes, self.swap_bytes),
        ):
            if asked > most:
                yield Refusal(LIMIT_FORBIDDEN, f"limits.{name} {asked} is above this edge's {most}")
        for step in work.steps:
            yield from self._refusals_of(step)

    def _refusals_of(self, step: Step) -> Iterator[Refusal]:
        if not is_allowed(step.image, self.images):
            yield Refusal(
                IMAGE_FORBIDDEN, f"step {step.name}: image {image_name(step.image)} is not allowed on this edge"
            )
        if self.digests and not image_name(step.image).digest:
            yield Refusal(DIGEST_REQUIRED, f"step {step.name}: this edge runs images by digest only, not {step.image}")
        if step.user and _is_root(step.user) and not self.root:
            yield Refusal(
                ROOT_FORBIDDEN, f"step {step.name}: user {step.user} is root, which is not allowed on this edge"
            )


NOBODY = "65534:65534"
"""In the passwd of alpine, busybox and debian, and nobody's on the host: `/shared` and `/tmp` are open to all, so that scripts
of images made for root run as they are, unless they write elsewhere or need a privilege."""


def _is_root(user: str) -> bool:
    """By what is written. A name that the image's own passwd gives the uid 0 is believed; it has no capability either."""
    name, _, _ = user.partition(":")
    return name in ("", "root") or (name.isdecimal() and int(name) == 0)
