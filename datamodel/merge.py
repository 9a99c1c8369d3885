"""JSON merge patch (RFC 7396)."""

from datamodel.kinds import Document


def merged(document: Document, patch: Document) -> Document:
    """A new document: members of `patch` replace, objects merge, null removes. Neither argument is changed."""
    result = dict(document)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            inner = result.get(name)
            result[name] = merged(inner if isinstance(inner, dict) else {}, value)
        else:
            result[name] = value
    return result
