"""Conditions of a request that do not hold."""

from datamodel.errors import Conflict


class Unmet(Conflict):
    """The present is not what the request made its condition: `If-Match` or `If-None-Match`."""
