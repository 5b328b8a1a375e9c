"""Who is at the command line: whoever holds the host, by the name that the host knows."""

from __future__ import annotations

import getpass
import os

from iamroles.audit import Actor


def shell_actor() -> Actor:
    """Returns the actor of a command; a container may run as a user number that has no name."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"user {os.getuid()}"
    return Actor(type="system", id=None, name=name, channel="command")
