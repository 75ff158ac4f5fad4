"""Features whose packages are installed by an extra."""

from __future__ import annotations

from clipengine import __version__
from clipengine.errors import StartupError


def missing_extra(feature: str, extra: str, error: ImportError) -> StartupError:
    """Return the error for an installation without an extra that `feature`, a setting or a command, needs."""
    return StartupError(
        f"{feature} needs packages that are not installed ({error})",
        hint=f"Install them: pip install './clipengine-{__version__}-py3-none-any.whl[{extra}]' with the wheel of this "
        f"version, or in a checkout pip install '.[{extra}]'.",
    )
