"""`clipengine serve`: the engine and its API in one process, until SIGTERM or SIGINT.

Prints the address, the data folder and example commands to standard output. The last line, `listening on URL`, is
printed when the server accepts requests. The log goes to standard error. Exits with 0 within 10 seconds of a signal,
or of the end of draining.
"""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import click

from clipengine import __version__
from clipengine.api.app import create_app
from clipengine.api.http.ports import Endpoint
from clipengine.cli import output
from clipengine.cli.data_folder import command, locations
from clipengine.cli.operator.running_engine import run_engine
from clipengine.cli.options import config_option, data_option, drain_option, host_option, port_option
from clipengine.engine import Engine
from clipengine.server import process
from clipengine.server.extras import missing_extra
from clipengine.server.http_server import Server, listen, url_of
from clipengine.server.shutdown import StopRequest
from clipengine.settings.settings import Settings
from clipengine.settings.sources import load

log = logging.getLogger(__name__)

_ENGINE_STOP_SECONDS = 3.5


@click.command()
@config_option
@host_option
@port_option
@data_option
@drain_option
@click.option(
    "--first-key/--no-first-key",
    default=None,
    help="Create and print an API key if there is none yet. [default: on a terminal]",
)
@click.option(
    "--link/--no-link",
    default=None,
    help="Print a link that signs a browser in to the page, valid once within 15 minutes. [default: on a terminal]",
)
def serve(
    config: Path | None,
    host: str | None,
    port: int | None,
    data: Path | None,
    drain_seconds: float,
    first_key: bool | None,
    link: bool | None,
) -> None:
    """Run the engine: the API, the encoders and the webhooks, in one process.

    By default, it listens on http://127.0.0.1:8377 and stores its data in ./clipengine-data.
    """
    overrides: dict[str, dict[str, object]] = {"server": {"host": host, "port": port}, "data": {"folder": data}}
    settings = load(config, overrides=overrides, warn=output.warn)
    terminal = sys.stdout.isatty()
    run_engine(
        settings,
        partial(
            _serve,
            endpoints=_endpoints(settings),
            first_key=terminal if first_key is None else first_key,
            link=terminal if link is None else link,
        ),
        leads=True,
        drain_seconds=drain_seconds,
        stop_seconds=_ENGINE_STOP_SECONDS,
    )


def _endpoints(settings: Settings) -> list[Callable[[Engine], Endpoint]]:
    """Return the endpoints beside the API that the settings ask for. Raises StartupError if an extra is missing."""
    if not settings.mcp.enabled:
        return []
    try:
        from clipengine.mcp.http import McpEndpoint
    except ImportError as error:
        raise missing_extra("mcp.enabled", "mcp", error) from error
    return [McpEndpoint]


def _serve(
    engine: Engine,
    stop: StopRequest,
    *,
    endpoints: Sequence[Callable[[Engine], Endpoint]],
    first_key: bool,
    link: bool,
) -> None:
    """Serve requests until a signal arrives."""
    settings = engine.settings
    app = create_app(engine, [endpoint(engine) for endpoint in endpoints])
    with listen(settings.server.host, settings.server.port) as listener:
        url = url_of(listener)
        key = _first_key(engine) if first_key else None

        def announce() -> None:
            _print_start(settings, settings.server.public_url or url, key, app.state.codes.issue() if link else None)
            click.echo(f"listening on {url}")
            sys.stdout.flush()
            log.info("listening on %s", url)
            # In a thread, because an unreachable store takes long to time out.
            threading.Thread(target=_log_problems, args=[engine], name="startup-check", daemon=True).start()

        process.reduce_latency()
        Server(app, stop, on_listening=announce, on_stopping=app.state.changes.close).run(sockets=[listener])


def _log_problems(engine: Engine) -> None:
    """Log failed health checks at startup, before the first clip fails."""
    try:
        for check in engine.health():
            if not check.ok:
                log.error("health check %s failed: %s /readyz shows the current state.", check.name, check.detail)
    except Exception as error:  # the engine may be stopping
        log.debug("the startup check ended: %s", error)


def _first_key(engine: Engine) -> str | None:
    with command("key.create"):
        return None if engine.ledger.keys.list() else engine.ledger.keys.create("first")[1]


def _own_command() -> str:
    """Return the shell command that runs this program, not another clipengine on the PATH."""
    own, found = sys.argv[0], shutil.which("clipengine")
    if not os.access(own, os.X_OK):  # run as a module
        return "clipengine"
    return "clipengine" if found and os.path.samefile(found, own) else shlex.quote(own)


def _print_start(settings: Settings, url: str, key: str | None, code: str | None) -> None:
    folder = settings.data.folder.resolve()
    create_key = f'export KEY="$({_own_command()} keys create NAME --data {shlex.quote(str(folder))})"'
    lines = [
        f"clipengine {__version__}",
        f"  address  {url}",
        f"  page     {url}/#code={code} (signs in once)" if code else f"  page     {url}/",
        *locations(settings),
        f"  key      {key} (shown only once)" if key else "  key      not shown again; the command below creates one",
        "Try it:",
        f"  export API={url}/v1 KEY={key}" if key else f"  export API={url}/v1; {create_key}",
        '  curl -H "Authorization: Bearer $KEY" -T meeting.mp4 "$API/recordings/upload?name=meeting.mp4"',
    ]
    click.echo("\n".join(lines))
