"""`clipengine serve`: the engine and its API in one process, until SIGTERM or SIGINT.

Prints on standard output where it listens, where data lies and how to go on; the last line, `listening on URL`, is
there once requests are answered. The log goes to standard error. Exit 0 after a stop, within 10 seconds.
"""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import signal
import sys
import threading
from pathlib import Path

import click

from clipengine import __version__
from clipengine.api.app import create_app
from clipengine.cli import logs, process
from clipengine.cli.data import make_private, places
from clipengine.cli.listening import Server, listen, url_of
from clipengine.cli.options import config_option, data_option, port_value
from clipengine.cli.stopping import SIGNALS, EarlyStop
from clipengine.engine import Engine
from clipengine.settings import Settings, load

log = logging.getLogger(__name__)

_ENGINE_STOP_SECONDS = 3.5


@click.command()
@config_option
@click.option("--host", help="The address to listen on.")
@click.option("--port", type=port_value, metavar="PORT", help="The port to listen on; 0 takes a free one.")
@data_option
@click.option(
    "--first-key/--no-first-key",
    default=None,
    help="Where the ledger has no key yet, make one and print it. [default: on a terminal]",
)
@click.option(
    "--link/--no-link",
    default=None,
    help="Print a link to the page that signs one browser in, within a quarter of an hour. [default: on a terminal]",
)
def serve(
    config: Path | None,
    host: str | None,
    port: int | None,
    data: Path | None,
    first_key: bool | None,
    link: bool | None,
) -> None:
    """Run the engine: the API, the encoders and the webhooks, in this one process.

    Everything has a default: without options it listens on http://127.0.0.1:8377 and keeps its data in
    ./clipengine-data.
    """
    settings = load(config, overrides={"server": {"host": host, "port": port}, "data": {"folder": data}})
    early = EarlyStop()
    logs.set_up(settings)
    make_private(settings.data.folder)
    process.prepare()
    engine = Engine.build(settings)
    try:
        engine.start()
        if not early.should_exit:
            terminal = sys.stdout.isatty()
            _answer(
                engine,
                settings,
                early,
                first_key=terminal if first_key is None else first_key,
                link=terminal if link is None else link,
            )
    finally:
        engine.stop(timeout=_ENGINE_STOP_SECONDS)
    log.info("stopped")


def _answer(engine: Engine, settings: Settings, early: EarlyStop, *, first_key: bool, link: bool) -> None:
    """Answer requests until a signal."""
    app = create_app(engine)
    with listen(settings.server.host, settings.server.port) as listener:
        url = url_of(listener)
        key = _first_key(engine) if first_key else None

        def announce() -> None:
            _greet(settings, settings.server.public_url or url, key, app.state.codes.issue() if link else None)
            click.echo(f"listening on {url}")
            sys.stdout.flush()
            log.info("listening on %s", url)
            # Not waited for: a store that does not answer takes its time to say so.
            threading.Thread(target=_look_around, args=[engine], name="look-around", daemon=True).start()

        process.quicken()
        server = Server(app, on_listening=announce, on_stopping=app.state.changes.close)
        for each in SIGNALS:
            signal.signal(each, server.handle_exit)
        server.should_exit = server.should_exit or early.should_exit
        server.run(sockets=[listener])


def _look_around(engine: Engine) -> None:
    """Say at the start what would only show with the first clip."""
    try:
        for check in engine.health():
            if not check.ok:
                log.error("%s is not well: %s /readyz says when it is.", check.name, check.detail)
    except Exception as error:  # the engine may be stopping under it
        log.debug("the look around at the start ended: %s", error)


def _first_key(engine: Engine) -> str | None:
    return None if engine.ledger.keys.list() else engine.ledger.keys.create("first")[1]


def _own_command() -> str:
    """What can be typed here to run this very program: another one of its name may be found first."""
    own, found = sys.argv[0], shutil.which("clipengine")
    if not os.access(own, os.X_OK):  # a module that Python was told to run
        return "clipengine"
    return "clipengine" if found and os.path.samefile(found, own) else shlex.quote(own)


def _greet(settings: Settings, url: str, key: str | None, code: str | None) -> None:
    folder = settings.data.folder.resolve()
    made = f'export KEY="$({_own_command()} keys create NAME --data {shlex.quote(str(folder))})"'
    lines = [
        f"clipengine {__version__}",
        f"  address  {url}",
        f"  page     {url}/#code={code} (signs in once)" if code else f"  page     {url}/",
        *places(settings),
        f"  key      {key} (shown this once)" if key else "  key      only its hash is kept; the line below makes one",
        "Try it:",
        f"  export KEY={key}" if key else f"  {made}",
        f'  curl -H "Authorization: Bearer $KEY" -T meeting.mp4 "{url}/v1/recordings/upload?name=meeting.mp4"',
    ]
    click.echo("\n".join(lines))
