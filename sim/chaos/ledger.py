"""The host ledger: what the jobs' steps themselves say they did, in files that the system does not know."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from datamodel.errors import Invalid
from datamodel.scheduling.attempts import claim_of

_IMAGE = "busybox:latest"
_SCRIPT = """
set -eu
epoch=${ATTEMPT##*-}
place=$(readlink /proc/self/ns/net)
note() {
  read -r up _ < /proc/uptime
  echo "$JOB $CHUNK_INDEX $ATTEMPT $epoch $STEP $STEPS $place $up $*" >> "$LEDGER/$ATTEMPT"
  sync "$LEDGER/$ATTEMPT"
}
note start
sleep "$NAP_S"
if [ "$epoch" = 1 ] && [ "$CHUNK_INDEX" = "$FAILING" ]; then note end 1; exit 1; fi
if [ "$STEP" = "$STEPS" ]; then printf '{"indexes": %d, "ran": 1}' "$CHUNK_INDEX" > "$SHARED_DIR/result.json"; fi
note end 0
"""
OUTPUTS = {"indexes": "collect", "ran": "sum"}
"""What every chunk of a noted job leaves: its index, to be collected, and a 1, to be summed."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a step of an attempt began, or ended with a result (its exit code). `step` counts from 1 to `steps`; `place` is
    the network namespace where it ran, and `up_s` the machine's time since its boot. A line is on the disk before the step goes
    on."""

    job: str
    chunk: int
    attempt: str
    epoch: int
    step: int
    steps: int
    place: str
    up_s: float
    event: Literal["start", "end"]
    result: int | None = None

    @property
    def owner(self) -> str:
        """The uid of the job that the attempt's name names."""
        return self.attempt.split("-", 1)[0]

    @property
    def done(self) -> bool:
        """Whether this ends the last step, with success."""
        return self.event == "end" and self.step == self.steps and self.result == 0


def noting_steps(ledger: Path, job: str, naps_s: list[float], failing: int) -> list[dict[str, Any]]:
    """Steps that sleep and note it in the directory `ledger`. The chunk of index `failing` fails in its first epoch."""
    return [
        {
            "name": f"step-{number}",
            "image": _IMAGE,
            "script": _SCRIPT,
            "env": {
                "LEDGER": str(ledger),
                "JOB": job,
                "NAP_S": f"{nap_s:.2f}",
                "STEP": str(number),
                "STEPS": str(len(naps_s)),
                "FAILING": str(failing),
            },
        }
        for number, nap_s in enumerate(naps_s, 1)
    ]


def read(ledger: Path, owner: str = "") -> list[Line]:
    """All lines, or those of one job's uid, those of an attempt in the order of their writing. Raises `Invalid` for one that no
    step of ours writes."""
    return [line for file in sorted(ledger.glob(f"{owner}*")) for line in _lines(file)]


def _lines(file: Path) -> Iterator[Line]:
    for text in file.read_text(encoding="utf-8").splitlines():
        yield parse(text)


def parse(text: str) -> Line:
    """One line. Raises `Invalid` where it is none, or where it contradicts the attempt's name."""
    try:
        job, chunk, attempt, epoch, step, steps, place, up_s, event, *result = text.split(" ")
        numbers = (int(epoch), int(step), int(steps))
        line = Line(job, int(chunk), attempt, *numbers, place, float(up_s), _EVENTS[event], *map(int, result))
    except (ValueError, KeyError, TypeError) as error:
        raise Invalid(f"no line of the ledger: {text!r}") from error
    claim = claim_of(attempt)
    if claim is None or (claim.index, claim.epoch) != (line.chunk, line.epoch):
        raise Invalid(f"the attempt's name says another chunk or epoch: {text!r}")
    return line


_EVENTS: dict[str, Literal["start", "end"]] = {"start": "start", "end": "end"}
