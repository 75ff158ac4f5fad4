"""Upload a file with tuspy: `URL KEY FILE HALF`. Two objects share it, as after a restart of the program."""

from __future__ import annotations

import sys
from pathlib import Path

from tusclient.client import TusClient  # type: ignore[import-not-found]

CHUNK_BYTES = 500_000


def main(url: str, key: str, file: str, half: str) -> None:
    client = TusClient(f"{url}/v1/uploads", headers={"Authorization": f"Bearer {key}"})
    options = {"file_path": file, "chunk_size": CHUNK_BYTES, "upload_checksum": True}
    first = client.uploader(**options, metadata={"filename": Path(file).name})
    first.upload(stop_at=int(half))
    second = client.uploader(**options, url=first.url)
    assert second.offset == first.offset >= int(half), second.offset
    second.upload()
    print(second.request.response_headers["upload-recording"])


main(*sys.argv[1:])
