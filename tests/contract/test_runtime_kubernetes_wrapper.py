"""What stands over a step in a pod, in a namespace of processes as a container has it: signals, streams, ends and bounds."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from agents.runtimes.kubernetes.handing import begin_script
from agents.runtimes.kubernetes.lines import Line, LineReader
from agents.runtimes.kubernetes.wrapper import BEGIN_FILE, STEP_SCRIPT, TAIL_BYTES, End, end_in, step_command
from agents.runtimes.protocol import Given, Step

BUSYBOX = "/bin/busybox"
WAIT_S = 30.0


class Ended(NamedTuple):
    """The exit code that a container engine would see, the termination message, and the log of both streams, which
    `is_whole` by its own marks."""

    code: int
    end: End | None
    lines: list[Line]
    is_whole: bool

    def said(self, stream: str) -> bytes:
        return b"".join(line.data for line in self.lines if line.stream == stream)


class Container(NamedTuple):
    """A step that runs, with its wrapper as the first process."""

    process: "subprocess.Popen[bytes]"
    end_file: Path

    def ended(self) -> Ended:
        reader, lines = LineReader(), list[Line]()
        for log in self.process.communicate(timeout=WAIT_S):
            lines += reader.feed(b"".join(b"2026-01-01T00:00:01Z " + line for line in log.splitlines(keepends=True)))
        return Ended(self.process.returncode, end_in(self.end_file.read_text()), lines, reader.is_whole)

    def terminate(self) -> None:
        """TERM to the first process of its namespace, once it is there."""
        deadline_s = time.monotonic() + WAIT_S
        while (init := self._init()) is None:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        os.kill(init, signal.SIGTERM)

    def _init(self) -> int | None:
        pids, found = [self.process.pid], None
        while pids:
            pid = pids.pop()
            status = Path(f"/proc/{pid}/status").read_text()
            numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
            if len(numbers) > 1 and numbers[-1] == "1":
                found = pid
            pids += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return found


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    if not Path(BUSYBOX).exists():
        pytest.skip("needs a static busybox: apt-get install busybox-static")
    tools = tmp_path / "tools"
    tools.mkdir()
    shutil.copy(BUSYBOX, tools / "busybox")
    (tools / "step").write_text(STEP_SCRIPT)
    (tmp_path / "end").touch()
    return tools


def begin(
    bubblewrap: str, tools: Path, step: Step, given: Given | None = None, env: Mapping[str, str] | None = None
) -> Container:
    end_file = tools.parent / "end"
    seen = [argument for path in ("/bin", "/lib", "/lib64", "/usr") for argument in ("--ro-bind-try", path, path)]
    box = [bubblewrap, "--tmpfs", "/", *seen, "--dev", "/dev", "--proc", "/proc", "--unshare-pid", "--as-pid-1"]
    box += ["--tmpfs", "/tmp", "--ro-bind", str(tools), "/.tendril", "--bind", str(end_file), "/.tendril-end"]
    if given is not None:
        (tools.parent / "begin").write_bytes(begin_script(given))
        box += ["--ro-bind", str(tools.parent / "begin"), BEGIN_FILE]
    process = subprocess.Popen(
        [*box, "--", *step_command(step)],
        env={**(env or {}), "PATH": os.defpath},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    return Container(process, end_file)


def run(bubblewrap: str, tools: Path, script: str, *, goes_on: bool = False) -> Ended:
    return begin(bubblewrap, tools, Step("step", "", script, continue_on_error=goes_on)).ended()


def test_streams_stay_apart_and_bytes_as_they_are(bubblewrap: str, tools: Path) -> None:
    ended = run(bubblewrap, tools, "printf '\\303\\251\\0\\n'; echo err >&2; printf more")
    assert ended.said("stdout") == b"\xc3\xa9\0\nmore"
    assert ended.said("stderr") == b"err\n"
    assert (ended.code, ended.end, ended.is_whole) == (0, End(0), True)


@pytest.mark.parametrize(
    ("script", "code"), [("exit 7", 7), ("kill -9 $$; sleep 1000", 137), ("nothing-of-this-name", 127)]
)
def test_an_exit_code_is_the_steps(bubblewrap: str, tools: Path, script: str, code: int) -> None:
    ended = run(bubblewrap, tools, script)
    assert (ended.code, ended.end) == (code, End(code))


def test_a_failure_after_which_it_goes_on_is_kept_from_the_engine(bubblewrap: str, tools: Path) -> None:
    ended = run(bubblewrap, tools, "exit 7", goes_on=True)
    assert (ended.code, ended.end) == (0, End(7))


@pytest.mark.parametrize(("code", "told"), [(3, 0), (42, 0), (4, 4), (2, 2), (34, 34)])
def test_so_is_one_that_is_ignored_and_no_other(bubblewrap: str, tools: Path, code: int, told: int) -> None:
    ended = begin(bubblewrap, tools, Step("step", "", f"exit {code}", ignored=(3, 42))).ended()
    assert (ended.code, ended.end) == (told, End(code))


@pytest.mark.parametrize(
    ("step", "end"),
    [
        (Step("one", "", "true", shell=("/bin/no-shell", "-c")), End(127, "shell", "/bin/no-shell")),
        (Step("two", "", command=("no-program", "a")), End(127, "command", "no-program")),
    ],
)
def test_what_the_image_does_not_have_is_told(bubblewrap: str, tools: Path, step: Step, end: End) -> None:
    ended = begin(bubblewrap, tools, step).ended()
    assert (ended.code, ended.end, ended.lines, ended.is_whole) == (127, end, [], True)


def test_a_command_is_found_in_path_and_keeps_its_arguments(bubblewrap: str, tools: Path) -> None:
    step = Step("one", "", command=("printf", "%s|", "a  b", "", "$HOME"))
    assert begin(bubblewrap, tools, step).ended().said("stdout") == b"a  b||$HOME|"


@pytest.mark.parametrize(
    ("script", "code"),
    [("echo; exec sleep 1000", 143), ("trap 'exit 5' TERM; echo; while :; do sleep 0.05; done", 5)],
)
def test_term_reaches_the_step(bubblewrap: str, tools: Path, script: str, code: int) -> None:
    container = begin(bubblewrap, tools, Step("step", "", script))
    assert container.process.stdout is not None
    assert container.process.stdout.read(1) == b"\n"
    container.terminate()
    assert container.ended().end == End(code)


def test_what_a_step_leaves_running_is_ended(bubblewrap: str, tools: Path) -> None:
    ended = run(bubblewrap, tools, "sleep 1000 & setsid sleep 1000 & echo begun; exit 4")
    assert (ended.end, ended.said("stdout"), ended.is_whole) == (End(4), b"begun\n", True)


@pytest.mark.parametrize(("stream", "redirect"), [("stdout", ""), ("stderr", ">&2")])
def test_a_flood_is_bounded_and_counted(bubblewrap: str, tools: Path, stream: str, redirect: str) -> None:
    numbers = 300_000
    ended = run(bubblewrap, tools, f"seq {numbers} {redirect}")
    whole = b"".join(b"%d\n" % number for number in range(1, numbers + 1))
    (gap,) = [line.dropped for line in ended.lines if line.dropped]
    assert ended.is_whole
    kept = ended.said(stream)
    assert len(kept) + gap == len(whole)
    assert len(kept) < 2**20 + 2 * TAIL_BYTES
    assert whole.startswith(kept[: 2**19])
    assert whole.endswith(kept[-1000:])


def test_nothing_of_it_is_seen_by_the_step(bubblewrap: str, tools: Path) -> None:
    ended = run(bubblewrap, tools, "ls -A /tmp; ls /proc/self/fd | sort -n | head -c 100; env | grep -i tendril; :")
    assert ended.said("stdout").split() == [b"0", b"1", b"2", b"3"]


def test_a_step_has_the_variables_that_it_is_given_and_leaves_no_core(bubblewrap: str, tools: Path) -> None:
    given = Given({"PASSWORD": "it's $odd\n", "step": "mine", "program": "own", "PATH": "/bin"})
    step = Step("step", "", 'printf "%s|" "$PASSWORD" "$step" "$program" "$PATH"; ulimit -c; exit 4')
    ended = begin(bubblewrap, tools, step, given).ended()
    assert (ended.end, ended.said("stdout")) == (End(4), b"it's $odd\n|mine|own|/bin|0\n")


def test_variables_of_the_step_are_its_own_whatever_their_names(bubblewrap: str, tools: Path) -> None:
    """A shell hands on what it made of a variable that came to it: none of the script's words is one that it sets."""
    names = sorted(set(re.findall(r"\b[a-z][a-z_]*", STEP_SCRIPT)))
    step = Step("step", "", f'for name in {" ".join(names)}; do eval "echo $name=\\$$name"; done | grep -v =own; :')
    assert begin(bubblewrap, tools, step, env=dict.fromkeys(names, "own")).ended().said("stdout") == b""
