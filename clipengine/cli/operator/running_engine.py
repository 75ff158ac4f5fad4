"""An engine that runs until SIGTERM or SIGINT, the same for `clipengine serve` and `clipengine worker`."""

from __future__ import annotations

import logging
from collections.abc import Callable

from clipengine.basis import tracing
from clipengine.cli.data_folder import make_private
from clipengine.cli.operator.database_wait import build_engine
from clipengine.engine import Engine
from clipengine.server import logs, process, traces
from clipengine.server.shutdown import StopRequest
from clipengine.settings.settings import Settings

log = logging.getLogger(__name__)


def run_engine(
    settings: Settings,
    serve: Callable[[Engine, StopRequest], None],
    *,
    leads: bool,
    drain_seconds: float,
    stop_seconds: float,
) -> None:
    """Start an engine, call `serve`, which returns after a signal, and stop the engine.

    `leads` is passed to `Engine.start`. The engine has `stop_seconds` to end its jobs.
    """
    stop = StopRequest(drain_seconds)
    logs.set_up(settings)
    make_private(settings.data.folder)
    process.prepare()
    traces.set_up(settings)
    engine = build_engine(settings, stop)
    if engine is None:
        return
    try:
        engine.start(leads=leads)
        stop.drain = engine.drain
        if not stop.should_exit:
            serve(engine, stop)
    finally:
        engine.stop(timeout=stop_seconds)
        tracing.shut_down()
    log.info("stopped")
