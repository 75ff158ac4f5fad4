"""`clipengine mcp`: the engine as tools of an agent, over stdio."""

from __future__ import annotations

import logging
import signal
import sys

import click

from clipengine.cli import output
from clipengine.cli.options import connection, server_options
from clipengine.server.extras import missing_extra


@click.command()
@click.option("--read-only", is_flag=True, help="Offer no tools that create clips or links.")
@server_options
def mcp(server: str, api_key: str, read_only: bool) -> None:
    """Serve tools for agents over stdio (Model Context Protocol).

    With `enabled = true` in [mcp] of its settings, the server offers the same tools over HTTP at /mcp.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    try:
        import anyio

        from clipengine.mcp.server import serve_stdio
    except ImportError as error:
        raise missing_extra("clipengine mcp", "mcp", error) from error
    _check_key(server, api_key)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a thread that reads stdin cannot be interrupted
    anyio.run(lambda: serve_stdio(server, api_key, read_only=read_only))


def _check_key(server: str, api_key: str) -> None:
    """Raise ApiError if the server rejects the key. Report an unreachable server, which may start later."""
    from clipengine.client import ServerUnreachable

    try:
        with connection(server, api_key, retries=0) as client:
            client.profiles.list()
    except ServerUnreachable as error:
        output.fail(str(error), error.code, error.hint)
