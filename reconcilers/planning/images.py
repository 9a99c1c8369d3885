"""Which images edges have: whether it matters to a job where it goes, since not everybody has what its steps run."""

from collections import Counter
from collections.abc import Collection

from datamodel.kinds import Document
from datamodel.scheduling.images import images_of

SETS_LIMIT = 16
"""Sets of images that edges are told apart by. Each costs a look at every edge now and then; of more, those that come later are
nothing to go by."""


class Images:
    """By edge, what its engine has."""

    def __init__(self) -> None:
        self._of: dict[str, frozenset[str]] = {}
        self._edges_with: Counter[str] = Counter()
        self._sets: set[tuple[str, ...]] = set()

    def put(self, edge: str, images: Collection[str]) -> frozenset[str]:
        """Takes in what an edge has now."""
        found = frozenset(images)
        if self._of.get(edge) != found:
            self.drop(edge)
            self._edges_with.update(found)
            self._of[edge] = found
        return self._of[edge]

    def drop(self, edge: str) -> None:
        """The edge takes no work."""
        for image in self._of.pop(edge, ()):
            self._edges_with[image] -= 1
            if not self._edges_with[image]:
                del self._edges_with[image]

    def preferred(self, job: Document) -> tuple[str, ...]:
        """The images by which edges are told apart for a job of this spec. None where that is all the same: an image that
        nobody has, or all that everybody has."""
        if not self._edges_with:
            return ()
        images, everybody = images_of(job), len(self._of)
        counts = [self._edges_with[image] for image in images]
        if not all(counts) or min(counts) == everybody:
            return ()
        if images not in self._sets:
            if len(self._sets) == SETS_LIMIT:
                return ()
            self._sets.add(images)
        return images
