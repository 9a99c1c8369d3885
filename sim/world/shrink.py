"""From a script whose world breaks to a short one that breaks still: delta debugging (Zeller and Hildebrandt, 2002)."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from sim.world.script import AnyAction, Script, Submit

TRIES_LIMIT = 300


def shrunk(script: Script, breaks: Callable[[Script], bool], tries: int = TRIES_LIMIT) -> Script:
    """A script from which no action can be taken without its world holding, or as short as so many tries make it. Chance is
    drawn by name, so what is taken away changes nothing of the others' luck."""
    search = _Search(breaks, tries)
    script = search.without_actions(script)
    script = search.with_smaller_jobs(script)
    return search.without_actions(script)


class _Search:
    def __init__(self, breaks: Callable[[Script], bool], tries: int) -> None:
        self._breaks = breaks
        self._tries = tries

    def without_actions(self, script: Script) -> Script:
        """Takes away runs of actions, long ones first."""
        length = max(1, len(script.actions) // 2)
        while length and self._tries:
            start, shorter = 0, script
            while start < len(shorter.actions):
                candidate = shorter.with_actions(_without(shorter.actions, start, length))
                if self._try(candidate):
                    shorter = candidate
                else:
                    start += length
            if len(shorter.actions) == len(script.actions) or length > 1:
                length //= 2
            script = shorter
        return script

    def with_smaller_jobs(self, script: Script) -> Script:
        for place in range(len(script.actions)):
            while (candidate := _with_half(script, place)) is not None and self._try(candidate):
                script = candidate
        return script

    def _try(self, script: Script) -> bool:
        if not self._tries:
            return False
        self._tries -= 1
        return self._breaks(script)


def _with_half(script: Script, place: int) -> Script | None:
    """The job at this place has half of its chunks; None where that cannot be."""
    action = script.actions[place]
    if not isinstance(action, Submit) or action.chunks == 1:
        return None
    smaller = replace(action, chunks=action.chunks // 2)
    return script.with_actions([*script.actions[:place], smaller, *script.actions[place + 1 :]])


def _without(actions: Sequence[AnyAction], start: int, length: int) -> list[AnyAction]:
    return [*actions[:start], *actions[start + length :]]
