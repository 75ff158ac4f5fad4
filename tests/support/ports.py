"""Ports for servers that cannot choose one themselves."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

_FIRST, _USUAL_END = 10_240, 32_768
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """Return a free port on loopback that the kernel gives to no other socket until it is bound."""
    end = int(_EPHEMERAL.read_text().split()[0])
    for _ in range(1000):
        port = _FIRST + secrets.randbelow((end if end > _FIRST else _USUAL_END) - _FIRST)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")
