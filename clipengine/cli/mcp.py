"""`clipengine mcp`: the engine as tools of an agent, over stdio."""

from __future__ import annotations

import logging
import sys

import click

from clipengine import __version__
from clipengine.cli.mcp_protocol import McpServer
from clipengine.cli.mcp_tools import Tools
from clipengine.cli.options import needs_server
from clipengine.client import Client

_INSTRUCTIONS = (
    "Cuts exact clips out of recordings. Find a recording and the moment with search_transcripts, get_transcript and "
    "get_frame, then create_clip with start and end in seconds on the recording's timeline, and share_clip for a link."
)


@click.command()
@click.option("--read-only", is_flag=True, help="Offer no tools that create clips or links.")
@needs_server
def mcp(client: Client, read_only: bool) -> None:
    """Serve tools for agents over stdio (Model Context Protocol)."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    tools = Tools(client, read_only=read_only)
    server = McpServer("clipengine", __version__, _INSTRUCTIONS, tools.all, tools.may_write)
    server.serve(sys.stdin.buffer, sys.stdout.buffer)
