"""Export of traces, if the settings ask for it."""

from __future__ import annotations

from clipengine.basis import tracing
from clipengine.server.extras import missing_extra
from clipengine.settings.settings import Settings


def set_up(settings: Settings) -> None:
    """Record and export spans if `server.tracing` is set. Raises StartupError if the extra is missing."""
    if not settings.server.tracing:
        return
    try:
        from clipengine.otel import OpenTelemetry
    except ImportError as error:
        raise missing_extra("server.tracing", "otel", error) from error
    tracing.use(OpenTelemetry.exporting())
