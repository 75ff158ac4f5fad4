"""What must be there before an environment can be made: says what is missing, and how to get it, in one line.

Runs on any Python 3, so that an old one gets to say that it is too old.
"""

import importlib.util
import sys

if sys.version_info < (3, 11):  # noqa: UP036
    found = ".".join(map(str, sys.version_info[:3]))
    sys.exit("missing: Python 3.11 or newer; this is " + found + ". Name another one: make PYTHON=python3.13")

# Debian keeps ensurepip in a package of its own; without it `python -m venv` breaks half-way.
if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
    sys.exit("missing: Python's venv module (ensurepip). On Debian: apt install python3-venv")
