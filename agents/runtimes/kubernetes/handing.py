"""What an attempt is given beside its Job: inputs and secrets.

Its pod's first container waits until the agent has put them into the volumes of the steps, by way of a program that it runs
there: so the API server passes them on, and keeps nothing.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from agents.runtimes.archive import Packed, archive, inputs_packed
from agents.runtimes.kubernetes.wrapper import BEGIN_FILE, GIVEN, TOOLS
from agents.runtimes.protocol import Given, Work
from agents.runtimes.shared import SHARED

HANDING_S = 3600
"""How long a pod waits for what it is given."""
NEVER_HANDED = 75
"""The exit code of one that waited for so long: EX_TEMPFAIL of sysexits.h."""

_HANDED, _HANDING = f"{TOOLS}/handed", f"{TOOLS}/handing"

WAIT_SCRIPT = f"""
trap 'exit 143' TERM
rounds=0
until [ -e {_HANDED} ]; do
  rounds=$((rounds + 1))
  if [ $rounds -gt {5 * HANDING_S} ]; then
    echo 'nobody handed over what it is given' > /dev/termination-log
    exit {NEVER_HANDED}
  fi
  /bin/busybox sleep 0.2
done
for round in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
  kill -0 "$(/bin/busybox cat {_HANDING})" 2> /dev/null || break
  /bin/busybox sleep 0.1
done
""".strip()
"""The first container's, after it has made the tools. What runs in it ends with it: so it waits until who hands over has heard
that all is there."""

# The archive's last file says that all of it is there: an archive that breaks off, wherever, does not have it. What an earlier
# connection left running must not write any more once the steps begin, so it is ended first.
_HAND_SCRIPT = f"""
[ ! -e {_HANDED} ] || exit 0
[ ! -e {_HANDING} ] || kill -KILL "$(/bin/busybox cat {_HANDING})" 2> /dev/null
[ ! -e {_HANDED} ] || exit 0
echo $$ > {_HANDING}
exec /bin/busybox tar -x -o -f - -C /
""".strip()
HAND_COMMAND = ("/bin/busybox", "sh", "-c", _HAND_SCRIPT)
"""Unpacks what `handed` gives, in the first container."""


def given_volume(index: int) -> str:
    """Where the first container finds what step `index` begins with."""
    return f"{GIVEN}/begin-{index}"


def files_volume(index: int) -> str:
    """Where it finds the files of the step's secrets."""
    return f"{GIVEN}/files-{index}"


def is_given_something(work: Work) -> bool:
    return bool(work.inputs) or any(step.secrets for step in work.steps)


def handed(work: Work) -> Iterator[bytes]:
    """The archive with all that an attempt is given. Blocks. Raises `OSError`."""
    volumes = [place for index in range(len(work.steps)) for place in (given_volume(index), files_volume(index))]
    return archive(_handed(work), [_relative(place) for place in (SHARED, TOOLS, *volumes)])


def _handed(work: Work) -> Iterator[Packed]:
    for packed in inputs_packed(work.inputs):
        yield packed._replace(path=_relative(SHARED) / packed.path)
    for index, step in enumerate(work.steps):
        if not step.secrets:
            continue
        given = work.given_to(index)
        yield _of(f"{given_volume(index)}/{Path(BEGIN_FILE).name}", begin_script(given))
        for file in sorted(Path(given.files).iterdir()) if given.files else ():
            yield _of(f"{files_volume(index)}/{file.name}", file.read_bytes())
    yield _of(_HANDED, b"")


def begin_script(given: Given) -> bytes:
    """What the shell over a step with secrets does before it becomes the step."""
    lines = ["ulimit -c 0", *(f"export {name}={shlex.quote(value)}" for name, value in sorted(given.env.items()))]
    return "".join(f"{line}\n" for line in lines).encode()


def _of(place: str, content: bytes) -> Packed:
    return Packed(_relative(place), content, len(content))


def _relative(place: str) -> PurePosixPath:
    return PurePosixPath(place).relative_to("/")
