"""What has been copied of a step's log: a file of bounded size, as the process runtime's, which an agent that is started again
goes on with."""

from pathlib import Path

from agents.runtimes.kubernetes.lines import Line
from agents.runtimes.process import output
from agents.runtimes.protocol import LogPage
from datamodel.scheduling.logs import Dropped, Part, Record, Stream

_STREAMS: dict[int, Stream] = {output.STDOUT: "stdout", output.STDERR: "stderr"}
_NUMBERS = {stream: number for number, stream in _STREAMS.items()}
_READ_BYTES = 256 * 1024
_CURSOR_DIGITS = 12


class Spool:
    """The writer's side. A log is read more than once, each time from the second of what was added last: what came before is
    skipped."""

    def __init__(self, directory: Path, index: int) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._done = _done(directory, index)
        path = _output(directory, index)
        self.last_ns, self._last_bytes, size = _end(path)
        self._skip_bytes = self._last_bytes
        self._file = output.OutputFile(str(path), size)

    def begin(self) -> None:
        """The log is read again."""
        self._skip_bytes = self._last_bytes

    def add(self, line: Line) -> None:
        if line.at_ns < self.last_ns:
            return
        data = line.data
        if line.at_ns == self.last_ns:
            data = data[self._skip_bytes :]
            self._skip_bytes -= len(line.data) - len(data)
        else:
            self.last_ns, self._last_bytes, self._skip_bytes = line.at_ns, 0, 0
            if line.dropped:
                self._file.drop(line.dropped, line.at_ns)
        self._last_bytes += len(data)
        if data:
            self._file.add(_NUMBERS[line.stream], data, line.at_ns)

    def finish(self, *, is_whole: bool) -> None:
        """Nothing comes any more; unless that `is_whole`, it ends with a gap. Raises `OSError` where the disk does not take the
        end: then it is to be read again."""
        if not self._file.close(is_whole=is_whole):
            raise OSError("the end of a log was not written")
        self._done.touch()

    def close(self) -> None:
        self._file.close()


def is_done(directory: Path, index: int) -> bool:
    """Whether all that there ever will be of a step's log has been copied."""
    return _done(directory, index).exists()


def page(directory: Path, index: int, after: str, limit_bytes: int) -> LogPage:
    """Some of what was copied, behind a cursor: a place in the file. Raises `OSError` where it cannot be read."""
    begin = int(after) if after.isascii() and after.isdecimal() and len(after) < _CURSOR_DIGITS else 0
    path = _output(directory, index)
    try:
        size = path.stat().st_size
        if begin > size:  # of a file that was lost, and has not come so far again
            return LogPage(after)
        pieces, more = output.read(str(path), begin, limit_bytes)
    except FileNotFoundError:
        return LogPage(after)
    except ValueError:
        return LogPage(after, (Dropped(index, None),), (str(size),)) if size > begin else LogPage(after)
    return LogPage(after, tuple(_part(index, piece) for piece, _ in pieces), tuple(str(end) for _, end in pieces), more)


def _end(path: Path) -> tuple[int, int, int]:
    """The time of what was copied last, the bytes of that time, and where the whole pieces end."""
    last_ns, last_bytes, at, more = 0, 0, 0, True
    while more:
        try:
            pieces, more = output.read(str(path), at, _READ_BYTES)
        except (FileNotFoundError, ValueError):
            break
        for piece, end in pieces:
            at_ns = piece.at_ns + (piece.stream == output.DROPPED)  # all of that time is among what was dropped
            last_bytes = last_bytes + len(piece.data) if at_ns == last_ns else len(piece.data)
            last_ns, at = at_ns, end
    return last_ns, last_bytes, at


def _part(index: int, piece: output.Piece) -> Part:
    if piece.stream == output.DROPPED:
        return Dropped(index, piece.dropped)
    return Record(index, _STREAMS[piece.stream], piece.at_ns, piece.data)


def _output(directory: Path, index: int) -> Path:
    return directory / f"step-{index}.output"


def _done(directory: Path, index: int) -> Path:
    return directory / f"step-{index}.done"
