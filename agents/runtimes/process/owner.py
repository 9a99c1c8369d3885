"""Whom the steps run as."""

import os
import pwd

from datamodel.errors import Invalid

Owner = tuple[int, int] | None
"""The uid and gid of the steps; None for those of this process, which then is an ordinary user's."""


def step_owner(user: str) -> Owner:
    """As root, the uid and gid of `user`; None as anybody else. Raises `Invalid` where that would be root again."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(user)
    except KeyError as error:
        raise Invalid(f"no user {user!r} on this host to run steps as; steps never run as root") from error
    if entry.pw_uid == 0 or entry.pw_gid == 0:
        raise Invalid(f"{user!r} is root or of its group; steps never run as root")
    return entry.pw_uid, entry.pw_gid
