#!/usr/bin/env python
"""Django's command line. Without DJANGO_SETTINGS_MODULE it works on the demo's data in `var/`.

`manage.py setup --base-url URL` is the one command before there are settings.
"""

import os
import sys


def main() -> None:
    """Runs one management command."""
    if sys.argv[1:2] == ["setup"] and any(argument.startswith("--base-url") for argument in sys.argv[2:]):
        from portal import first_env

        raise SystemExit(first_env.main(sys.argv[2:]))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings.demo")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
