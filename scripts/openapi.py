"""Writes the OpenAPI document of this checkout: `python -m scripts.openapi FILE`. `make client-ts` builds from it."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

import httpx

from clipengine.api.app import create_app
from clipengine.api.http.requests.rules import RuleClipBodies
from clipengine.engine import Engine
from clipengine.settings.settings import Settings


def document() -> bytes:
    """Return the document as the API serves it, from an engine that is not started."""
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine.build(Settings.model_validate({"data": {"folder": folder}}), RuleClipBodies())
        try:
            return asyncio.run(_served(engine))
        finally:
            engine.stop(timeout=5)


async def _served(engine: Engine) -> bytes:
    transport = httpx.ASGITransport(create_app(engine))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        answer = await http.get("/v1/openapi.json")
        return answer.raise_for_status().content


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("file", type=Path)
    options.parse_args().file.write_bytes(document())
