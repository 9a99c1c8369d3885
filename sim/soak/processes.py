"""What the programs take of the machine: memory, open files, threads; and whether one was started again."""

from collections import Counter
from pathlib import Path

import psutil


class Processes:
    """The children of one process by the program that they run, each with its own children (Postgres has many)."""

    def __init__(self, parent_pid: int) -> None:
        self._parent = psutil.Process(parent_pid)
        self._known: dict[str, tuple[int, float]] = {}
        self.restarts: Counter[str] = Counter()

    def sample(self) -> dict[str, float]:
        """Memory in bytes. What is judged is the private part (USS), which is what would be free if the program ended."""
        found: dict[str, float] = {}
        for child in self._parent.children():
            try:
                name = _program(child)
                values = _sums([child, *child.children(recursive=True)])
            except psutil.NoSuchProcess:
                continue
            self._note(name, child)
            found |= {f"{measure}: {name}": value for measure, value in values.items()}
        return found

    def _note(self, name: str, process: psutil.Process) -> None:
        identity = (process.pid, process.create_time())
        if self._known.setdefault(name, identity) != identity:
            self._known[name] = identity
            self.restarts[name] += 1


def _program(process: psutil.Process) -> str:
    """`gateway` of `python -m gateway`, with its edge's name where it is one of many agents; else the binary's name."""
    line = process.cmdline()
    if "-m" not in line[:-1]:
        return Path(line[0] if line else process.name()).name
    module = line[line.index("-m") + 1]
    return f"{module} {process.environ().get('EDGE_NAME', '')}".strip() if module == "agents" else module


def _sums(processes: list[psutil.Process]) -> dict[str, float]:
    sums: Counter[str] = Counter()
    for process in processes:
        try:
            memory, files, threads = process.memory_full_info(), process.num_fds(), process.num_threads()
        except psutil.NoSuchProcess:
            continue  # one of Postgres' that is done
        sums["memory"] += memory.uss
        sums["memory RSS"] += memory.rss
        sums["memory PSS"] += memory.pss
        sums["open files"] += files
        sums["threads"] += threads
    return dict(sums)
