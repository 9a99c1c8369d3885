"""What runs inside a pod beside the steps themselves, and the channels by which it tells more than Kubernetes would. Pure.

An image may have neither a shell nor anything else, so the first container of a pod copies a static busybox and a script to a
volume, and every step is started by these. The script is an init that passes TERM on, keeps the streams of its step apart and
leaves its exit code; the last container of the pod writes the result to its log, where no step ever writes.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import NamedTuple

from agents.runtimes.protocol import Step
from agents.runtimes.shared import RESULT_FILE, RESULT_LIMIT_BYTES, SHARED
from datamodel.errors import Invalid, Transient

TOOLS = "/.tendril"
"""Where the tools' volume is mounted; steps cannot write to it."""
GIVEN = "/.tendril-given"
"""Where the volume is mounted that a step with secrets begins with."""
BEGIN_FILE = f"{GIVEN}/begin"
"""Read by the shell over the step before it becomes the step."""
END_FILE = "/.tendril-end"
"""The container's termination message: the exit code of the step; and, where there was nothing to run, what was missing."""

STDERR_MARK = b"\x1e2\x1f"
"""Begins every line of stderr: the API server hands out a log without telling its streams."""
UNENDED_MARK = b"\x1eunended\x1f"
"""Follows what stdout ends with where that is no newline: container engines add one, and nobody could tell any more."""

DROPPED_MARK = re.compile(rb"\x1edropped (\d{1,15})\x1f\n")
"""A line of its own: so many bytes of the stream are not in the log."""
END_MARK = b"\x1eend\x1f\n"
"""The last line of each stream. An engine may tell of a container's end before it has written all of its log (containerd has up
to 4 KiB of a stream at hand, and nobody waits for that): only this says that nothing more comes."""

LOG_BYTES = 2**20
"""Of each stream, before only the last part of what follows is kept. A kubelet begins a log anew beyond some size (10 MiB, with
what an engine adds to each line), and what was in the old one is lost to who has not read it yet."""
TAIL_BYTES = 2**16
_TAIL_LINES = 500
_READ_BYTES = 16
"""Of one read within the bound: a short one costs as much of it as a long one, and most lines come one by one."""

_BUSYBOX = f"{TOOLS}/busybox"
_STEP_FILE = f"{TOOLS}/step"

# Descriptors: 3 and 4 are the container's own streams, 5 and 6 go to the programs that stand between them and the step's. What
# a step leaves running is killed when it has ended, else nobody would learn that its output is over; but only by the first
# process of a container, since elsewhere everything would be killed. A program is looked for in PATH here: the shell might take
# one of its own for it. Names begin as no variable of a step does: a shell hands on what it has made of those that came to it.
STEP_SCRIPT = rf"""
__goes_on=$1 __kind=$2; shift 2
__b={_BUSYBOX}
__program=
exec 3>&1 4>&2
passes() {{ case " $__goes_on " in *" $1 "* | " all ") exit 0 ;; esac; exit "$1"; }}
ends() {{ printf '\036end\037\n' >&3; printf '\0362\037\036end\037\n' >&4; }}
case $1 in
*/*) __program=$1 ;;
*)
  IFS=:
  for __directory in $PATH; do [ ! -x "$__directory/$1" ] || {{ __program=$__directory/$1; break; }}; done
  unset IFS ;;
esac
[ -x "$__program" ] || {{ ends; echo "127 $__kind $1" > {END_FILE}; passes 127; }}
limited() {{
  $__b dd bs={_READ_BYTES} count={LOG_BYTES // _READ_BYTES}
  $__b mkfifo -m 600 /tmp/.tendril-rest
  $__b tail -c {TAIL_BYTES} < /tmp/.tendril-rest > /tmp/.tendril-tail &
  __bytes=$($__b tee /tmp/.tendril-rest | $__b wc -c); wait $!
  [ "$__bytes" -le {TAIL_BYTES} ] || printf '\036unended\037\n\036dropped %s\037\n' $((__bytes - {TAIL_BYTES}))
  $__b cat /tmp/.tendril-tail
  $__b rm -f /tmp/.tendril-rest /tmp/.tendril-tail
}}
$__b mkfifo -m 600 /tmp/.tendril-out /tmp/.tendril-err || exit 126
{{ limited < /tmp/.tendril-out | $__b tee /proc/self/fd/9 9>&1 >&3 | {{
  __last=$($__b tail -c 1); [ -z "$__last" ] || printf '\036unended\037\n' >&3
}}; }} 2> /dev/null &
__out=$!
$__b awk -v mark="$(printf '\0362\037')" -v drop="$(printf '\036dropped %%d\037')" '
  {{ size = length($0) + 1; bytes += size }}
  bytes <= {LOG_BYTES} {{ print mark $0; fflush(); next }}
  {{ late++; gone += size; tail[late % {_TAIL_LINES}] = substr($0, 1, 4096) }}
  END {{
    first = late > {_TAIL_LINES} ? late - {_TAIL_LINES} + 1 : 1
    for (line = first; line <= late; line++) gone -= length(tail[line % {_TAIL_LINES}]) + 1
    if (gone > 0) printf mark drop "\n", gone
    for (line = first; line <= late; line++) print mark tail[line % {_TAIL_LINES}]
  }}' < /tmp/.tendril-err >&4 &
__err=$!
exec 5> /tmp/.tendril-out 6> /tmp/.tendril-err
$__b rm -f /tmp/.tendril-out /tmp/.tendril-err
__stop= __step=
trap '__stop=1; [ -z "$__step" ] || kill -TERM "$__step"' TERM
shift
set -- "$__program" "$@"
{{ [ ! -e {BEGIN_FILE} ] || . {BEGIN_FILE}; exec "$@"; }} >&5 2>&6 3>&- 4>&- 5>&- 6>&- &
__step=$!
[ -z "$__stop" ] || kill -TERM "$__step"
exec 5>&- 6>&- 2> /dev/null
while :; do
  wait "$__step"; __code=$?
  kill -0 "$__step" 2> /dev/null || break
done
if [ $$ = 1 ]; then
  __round=0 __left=1
  while [ "$__left" ]; do
    __round=$((__round + 1)) __left=
    [ $__round -lt 100 ] || {{ kill -KILL -1; break; }}
    for __process in /proc/[0-9]*; do
      [ ! -e "$__process/exe" ] || [ "$__process/exe" -ef $__b ] ||
        {{ kill -KILL "${{__process#/proc/}}" && __left=1; }}
    done 2> /dev/null
  done
fi
wait "$__out" "$__err"
ends
echo "$__code" > {END_FILE}
passes "$__code"
""".lstrip()

PREPARE_SCRIPT = rf"""
cp /bin/busybox {_BUSYBOX} && printf %s "$TENDRIL_STEP" > {_STEP_FILE}
""".strip()
"""Run by `/bin/busybox sh` of the tools' image, with `STEP_SCRIPT` in `$TENDRIL_STEP`."""

_RESULT_PATH = f"{SHARED}/{RESULT_FILE}"
RESULT_READ_BYTES = 2 * RESULT_LIMIT_BYTES
"""More than the longest frame."""

RESULT_SCRIPT = f"""
f={_RESULT_PATH}
if [ ! -f $f ] || [ -L $f ]; then echo none
elif [ ! -r $f ]; then echo closed
elif [ "$(/bin/busybox stat -c %s $f)" -gt {RESULT_LIMIT_BYTES} ]; then echo large
else echo base64; /bin/busybox base64 $f || exit 1
fi
echo end
""".strip()
"""The last container's: frames the result. Its first line says what follows, its last that nothing is missing."""


def step_command(step: Step) -> list[str]:
    """How a step is started, if there is anything to start but what its image says: then nothing stands over it. The failure of
    one after which the sequence goes on is recorded, and kept from Kubernetes."""
    kind, argv = ("shell", (*step.shell, step.script)) if step.script is not None else ("command", step.command)
    goes_on = "all" if step.continue_on_error else " ".join(str(code) for code in step.ignored)
    return [_BUSYBOX, "sh", _STEP_FILE, goes_on, kind, *argv] if argv else []


def is_wrapped(command: Sequence[str]) -> bool:
    """Whether a container's command is one that `step_command` made."""
    return tuple(command[:1]) == (_BUSYBOX,)


def literal(text: str) -> str:
    """What the kubelet expands to `text`: in commands and variables it reads `$(NAME)`, and `$$` as one dollar."""
    return text.replace("$", "$$")


class End(NamedTuple):
    """How a wrapper says that its step ended. `missing` is what the image did not have, `shell` or `command`, by its name
    `program`; empty where the step ran."""

    exit_code: int
    missing: str = ""
    program: str = ""


_END = re.compile(r"(\d{1,3})(?: (shell|command) (.*))?", re.DOTALL)


def end_in(message: str) -> End | None:
    """What a wrapper left as termination message; None where it left nothing."""
    found = _END.fullmatch(message.removesuffix("\n"))
    return End(int(found[1]), found[2] or "", found[3] or "") if found is not None else None


def result_in(log: bytes) -> bytes | None:
    """The result that the last container's log holds; None where the steps left none. Raises `Invalid` for one that is too
    large or cannot be read, `Transient` where the log is cut short."""
    first, *body = log.split(b"\n")
    if body[-2:] != [b"end", b""]:
        raise Transient(f"the frame of {_RESULT_PATH} is cut short")
    match first.decode(errors="replace"):
        case "none":
            return None
        case "large":
            raise Invalid(f"{_RESULT_PATH} is larger than {RESULT_LIMIT_BYTES} bytes")
        case "closed":
            raise Invalid(f"{_RESULT_PATH} cannot be read by the user of the last step")
        case "base64":
            try:
                return base64.b64decode(b"".join(body[:-2]), validate=True)
            except binascii.Error as error:
                raise Transient(f"the frame of {_RESULT_PATH}: {error}") from error
        case _:
            raise Transient(f"the last container's log holds no frame of {_RESULT_PATH}")
