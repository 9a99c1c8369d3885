"""What the store has to do, said a second time and in the plainest way: dictionaries, and a few lines for each command.

Nothing here is shared with the rule book. It knows one small world: the group `g` with jobs `x` and `y` of three chunks and no
retry, and the edge `e` that holds three attempts at a time.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

GROUP, JOBS, EDGE = "/config/job-groups/g", "/config/job-groups/g/jobs", "/inventory/sites/s/edges/e"
ATTEMPTS = "/desired-config/sites/s/edges/e/attempts"
ROOM = 3
CHUNKS = 3
ENDS = ("succeeded", "failed", "interrupted", "stopped")
COUNTED = ("succeeded", "failed", "aborted")

Refused = str


@dataclass
class Row:
    """A node."""

    kind: str
    uid: str
    labels: dict[str, str]
    version: int
    status: dict[str, Any] = field(default_factory=dict)
    job: str = ""
    """Of an attempt: the uid of its job."""
    chunk: tuple[int, int] = (0, 0)
    """Of an attempt: index and epoch."""
    intent: str = "run"
    finalizers: list[str] = field(default_factory=list)
    generation: int = 1
    deleting: bool = False


@dataclass
class Piece:
    """A chunk's entry in the ledger."""

    epoch: int
    phase: str
    holder: str
    progress: int = 0


class Graph:
    """The nodes by path, the log as (path, uid), the ledger by (job's uid, index), and whose totals there are."""

    def __init__(self) -> None:
        self.nodes: dict[str, Row] = {}
        self.log: list[tuple[str, str]] = []
        self.ledger: dict[tuple[str, int], Piece] = {}

    def note(self, path: str) -> None:
        """One more event about a node."""
        row = self.nodes[path]
        self.log.append((path, row.uid))
        row.version = len(self.log)

    def held(self) -> int:
        return sum(self.holds(row) for row in self.nodes.values())

    def holds(self, row: Row) -> bool:
        """Whether an attempt has what it reserved."""
        return row.kind == "Attempt" and row.status.get("phase") not in ENDS

    def lives(self, uid: str) -> bool:
        return any(row.uid == uid for row in self.nodes.values())

    def create(self, kind: str, path: str, uid: str, labels: dict[str, str]) -> Refused | None:
        if path in self.nodes:
            return "Conflict"
        if kind == "Job" and (refused := self.parent(GROUP)):
            return refused
        if self.lives(uid):
            return "Conflict"
        self.nodes[path] = Row(kind, uid, labels, 0, finalizers=["attempts"] if kind == "Job" else [])
        self.note(path)
        return None

    def parent(self, path: str) -> Refused | None:
        if path not in self.nodes:
            return "NotFound"
        return "Conflict" if self.nodes[path].deleting else None

    def label(self, path: str, labels: dict[str, str]) -> Refused | None:
        row = self.nodes.get(path)
        if row is None:
            return "NotFound"
        if row.labels != labels:
            row.labels = labels
            self.note(path)
        return None

    def place(self, path: str, job: str, owner: str, uid: str, chunk: tuple[int, int]) -> Refused | None:
        """Creates an attempt whose name claims a chunk of `owner`, at the job that stands at a path now."""
        index, epoch = chunk
        if path in self.nodes:
            return "Conflict"
        if refused := self.parent(job):
            return refused
        if self.held() >= ROOM or self.nodes[job].uid != owner:
            return "Conflict"
        piece = self.ledger.get((owner, index))
        begun = sum(of == owner for of, _ in self.ledger)
        if piece is None and (index != begun or index >= CHUNKS or epoch != 1):
            return "Conflict"
        if piece is not None and (piece.phase not in {"retry", "aborted"} or epoch != piece.epoch + 1):
            return "Conflict"
        self.nodes[path] = Row("Attempt", uid, {}, 0, job=owner, chunk=chunk)
        self.note(path)
        self.ledger[owner, index] = Piece(epoch, "placed", path)
        return None

    def current(self, row: Row) -> Piece | None:
        """The chunk's entry, if the attempt is the one that may still change it."""
        piece = self.ledger.get((row.job, row.chunk[0])) if self.lives(row.job) else None
        return piece if piece is not None and piece.epoch == row.chunk[1] and piece.phase not in COUNTED else None

    def report(self, path: str, phase: str, percent: int) -> Refused | None:
        row = self.nodes.get(path)
        if row is None:
            return "NotFound"
        before, status = row.status.get("phase", "pending"), {**row.status, "phase": phase, "percent": percent}
        if status == row.status:
            return None
        if before in ENDS:
            return "Conflict"
        piece = self.current(row)
        if phase in ENDS:
            status["settlement"] = "counted" if piece else "superseded" if self.lives(row.job) else "orphaned"
        row.status = status
        self.note(path)
        if piece is not None:
            piece.phase, piece.progress = self.outcome(row, phase, percent)
        return None

    def outcome(self, row: Row, phase: str, percent: int) -> tuple[str, int]:
        if phase == "succeeded":
            return "succeeded", 1000
        if phase == "failed":
            return "failed", 0
        if phase == "stopped" and row.intent == "stop":
            return "aborted", 0
        if phase in ("interrupted", "stopped") or row.intent == "abandon":
            return "retry", 0
        return "running", 10 * percent

    def intend(self, path: str, intent: str) -> Refused | None:
        row = self.nodes.get(path)
        if row is None:
            return "NotFound"
        if row.intent != intent:
            row.intent, row.generation = intent, row.generation + 1
            self.note(path)
            piece = self.current(row)
            phase = row.status.get("phase", "pending")
            if piece is not None and phase not in ENDS:
                percent = row.status.get("percent", 0)
                if intent == "abandon":
                    piece.phase, piece.progress = "retry", 0
                elif phase == "running":
                    piece.phase, piece.progress = "running", 10 * percent
                else:
                    piece.phase = "placed"
        return None

    def delete(self, path: str) -> Refused | None:
        if path not in self.nodes:
            return "NotFound"
        doomed = sorted((found for found in self.nodes if found == path or found.startswith(path + "/")), reverse=True)
        if any(self.holds(self.nodes[found]) for found in doomed):
            return "Conflict"
        kept: set[str] = set()
        for found in doomed:
            if self.nodes[found].finalizers or any(other.startswith(found + "/") for other in kept):
                kept.add(found)
                if not self.nodes[found].deleting:
                    self.nodes[found].deleting = True
                    self.note(found)
            else:
                self.go(found)
        return None

    def finalize(self, path: str) -> Refused | None:
        if path not in self.nodes:
            return "NotFound"
        if self.nodes[path].finalizers:
            self.nodes[path].finalizers = []
            self.note(path)
        while path in self.nodes and self.nodes[path].deleting:
            if self.nodes[path].finalizers or any(found.startswith(path + "/") for found in self.nodes):
                break
            self.go(path)
            path = path.rpartition("/jobs")[0]
        return None

    def go(self, path: str) -> None:
        self.log.append((path, self.nodes.pop(path).uid))

    def totals(self, owner: str) -> tuple[dict[str, int], int]:
        pieces = [piece for (of, _), piece in self.ledger.items() if of == owner]
        return dict(Counter(piece.phase for piece in pieces)), sum(piece.progress for piece in pieces)

    def sweep(self) -> None:
        """The chunks of jobs that are gone go too."""
        self.ledger = {key: piece for key, piece in self.ledger.items() if self.lives(key[0])}
