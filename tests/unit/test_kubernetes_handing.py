"""What an attempt is given, as the program in its pod takes it: unpacked by the busybox that is there."""

import subprocess
from pathlib import Path, PurePosixPath

import pytest

from agents.runtimes.archive import Packed, archive
from agents.runtimes.kubernetes.handing import begin_script, handed, is_given_something
from agents.runtimes.protocol import Given, Input, SecretUse, Step, Work

BUSYBOX = "/bin/busybox"
ODD = 'it\'s "odd"; $HOME `id`\n\\ end\n'
LONG = "d" * 120 + "/é " + "x" * 100


@pytest.fixture
def work(tmp_path: Path) -> Work:
    files = tmp_path / "files"
    files.mkdir()
    (files / "password").write_text(ODD)
    inputs = []
    for number, path in enumerate(("a", LONG)):
        source = tmp_path / str(number)
        source.write_bytes(b"x" * 1000 * number)
        inputs.append(Input("k", 1000 * number, "", path, str(source)))
    uses = (SecretUse("s", "k", env="ODD"), SecretUse("s", "k", file="password"))
    steps = (Step("one", "", "true"), Step("two", "", "true", secrets=uses))
    given = {index: Given({"ODD": ODD} if index else {}, str(files) if index else "") for index in (0, 1)}
    return Work("s", "e", "a", steps, {}, inputs=tuple(inputs), given=given)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A pod's root, with the volumes that are there."""
    if not Path(BUSYBOX).exists():
        pytest.skip("needs a busybox: apt-get install busybox-static")
    for place in ("shared", ".tendril", ".tendril-given/begin-1", ".tendril-given/files-1"):
        (tmp_path / "root" / place).mkdir(parents=True, mode=0o777)
    return tmp_path / "root"


def unpack(root: Path, packed: bytes) -> int:
    command = [BUSYBOX, "tar", "-x", "-o", "-f", "-", "-C", str(root)]
    return subprocess.run(command, input=packed, check=False, capture_output=True).returncode


def test_all_of_it_is_at_its_place_with_any_name_and_everybody_may_read_it(work: Work, root: Path) -> None:
    (root / "shared").chmod(0o1777)
    assert unpack(root, b"".join(handed(work))) == 0
    found = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert found == {
        "shared/inputs/a": b"",
        f"shared/inputs/{LONG}": b"x" * 1000,
        ".tendril-given/begin-1/begin": begin_script(work.given_to(1)),
        ".tendril-given/files-1/password": ODD.encode(),
        ".tendril/handed": b"",
    }
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in root.rglob("*"))
    assert (root / "shared").stat().st_mode & 0o7777 == 0o1777


def test_what_breaks_off_is_never_taken_for_the_whole(work: Work, root: Path) -> None:
    packed = b"".join(handed(work))
    last = packed.index(b".tendril/handed")
    for size in (0, 512, 1024, 1500, last):
        unpack(root, packed[:size])
        assert not (root / ".tendril/handed").exists()


def test_a_variable_is_what_it_was_whatever_stands_in_it(tmp_path: Path) -> None:
    script = tmp_path / "begin"
    script.write_bytes(begin_script(Given({"ODD": ODD})))
    command = ["/bin/sh", "-c", f'. {script}; printf %s "$ODD"; ulimit -c']
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == f"{ODD}0\n"


def test_most_work_is_given_nothing(work: Work) -> None:
    bare = Work("s", "e", "a", (Step("one", "", "true"),), {})
    assert is_given_something(work)
    assert not is_given_something(bare)


def test_directories_are_made_once_and_only_those_that_are_missing() -> None:
    files = [Packed(PurePosixPath(path), b"", 0) for path in ("a/b/c", "a/b/d")]
    whole, less = (b"".join(archive(files, there)) for there in ((), (PurePosixPath("a"),)))
    assert (len(whole) // 512, len(less) // 512) == (2 + 2 + 2, 1 + 2 + 2)
