"""Limits of a query's shape, checked before anything runs and in time that grows with the query's text alone."""

from typing import Any, NamedTuple

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValidationContext,
    ValidationRule,
)

TOKENS_LIMIT = 2_000
DEPTH_LIMIT = 20
FIELDS_LIMIT = 1_000
ALIASES_LIMIT = 50


class Shape(NamedTuple):
    """How deep a selection is, and how many fields and aliases it has, fragments counted wherever they are spread."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0

    def beside(self, other: "Shape") -> "Shape":
        return Shape(max(self.depth, other.depth), self.fields + other.fields, self.aliases + other.aliases)


class ShapeRule(ValidationRule):
    """Refuses queries that are too deep, or have too many fields or aliases.

    Each fragment is measured once: fragments that spread each other twice would otherwise cost time that is exponential in
    their number.
    """

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self._fragments: dict[str, Shape] = {}
        self._open: set[str] = set()

    def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> None:
        shape = self._selection(node.selection_set, 0)
        for what, found, limit in (
            ("deep", shape.depth, DEPTH_LIMIT),
            ("fields", shape.fields, FIELDS_LIMIT),
            ("aliases", shape.aliases, ALIASES_LIMIT),
        ):
            if found > limit:
                message = f"the query has more than {limit} {'levels' if what == 'deep' else what}"
                self.report_error(GraphQLError(message, [node]))

    def _selection(self, selections: SelectionSetNode | None, level: int) -> Shape:
        shape = Shape()
        if selections is None:
            return shape
        if level > DEPTH_LIMIT:  # deep enough to be refused: what lies below does not matter
            return Shape(depth=1)
        for selection in selections.selections:
            match selection:
                case FieldNode():
                    below = self._selection(selection.selection_set, level + 1)
                    own = Shape(below.depth + 1, below.fields + 1, below.aliases + (selection.alias is not None))
                    shape = shape.beside(own)
                case InlineFragmentNode():
                    shape = shape.beside(self._selection(selection.selection_set, level + 1))
                case FragmentSpreadNode():
                    shape = shape.beside(self._fragment(selection.name.value))
        return shape

    def _fragment(self, name: str) -> Shape:
        """The shape of a fragment. One that spreads itself is another rule's to refuse."""
        known = self._fragments.get(name)
        if known is not None:
            return known
        if len(self._open) >= DEPTH_LIMIT:
            return Shape(depth=DEPTH_LIMIT + 1)
        fragment: FragmentDefinitionNode | None = self.context.get_fragment(name)
        if fragment is None or name in self._open:
            return Shape()
        self._open.add(name)
        shape = self._fragments[name] = self._selection(fragment.selection_set, 0)
        self._open.discard(name)
        return shape
