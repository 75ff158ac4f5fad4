"""Features whose packages are installed by an extra."""

from __future__ import annotations

from clipengine.errors import StartupError


def missing_extra(feature: str, extra: str, error: ImportError) -> StartupError:
    """Return the error for an installation without an extra that `feature`, a setting or a command, needs."""
    return StartupError(
        f"{feature} needs packages that are not installed ({error})",
        hint=f"Install them: pip install 'clipengine[{extra}]'.",
    )
