"""Check of the prerequisites of `make`: reports in one line a missing one and how to install it.

Runs on any Python 3, so that an old version can be reported.
"""

import importlib.util
import sys

if sys.version_info < (3, 11):  # noqa: UP036
    found = ".".join(map(str, sys.version_info[:3]))
    sys.exit("missing: Python 3.11 or newer; this is " + found + ". Select another one: make PYTHON=python3.13")

# Debian has ensurepip in a separate package; without it `python -m venv` fails half-way.
if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
    sys.exit("missing: Python's venv module (ensurepip). On Debian: apt install python3-venv")
