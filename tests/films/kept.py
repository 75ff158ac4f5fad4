"""Files that this process has written before with the same arguments, kept in memory.

Many tests need the same film, each in a folder where it may change the files. Encoding a film takes 0.3 to 3 s.
"""

from __future__ import annotations

import hashlib
import pickle
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

_MOST_BYTES = 100_000_000  # of all files
_HERE = "\0"  # stands for the folder in options

_kept: OrderedDict[bytes, dict[str, bytes]] = OrderedDict()


def write_or_copy(
    path: Path, arguments: object, options: Mapping[str, str], write: Callable[[Path, Mapping[str, str]], None]
) -> None:
    """Write the files of a film beside `path`, by `write(path, options)` unless they are kept.

    Options may name files of the same folder. With files in other folders, nothing is kept.
    """
    local = {name: value.replace(f"{path.parent}/", _HERE) for name, value in options.items()}
    if any("/" in value for value in local.values()):
        write(path, options)
        return
    key = hashlib.sha256(pickle.dumps((path.name, arguments, sorted(local.items())))).digest()
    files = _kept.pop(key, None)
    if files is None:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as made:
            write(Path(made, path.name), {name: value.replace(_HERE, f"{made}/") for name, value in local.items()})
            files = {each.name: each.read_bytes() for each in Path(made).iterdir()}
    _kept[key] = files
    while sum(len(data) for each in _kept.values() for data in each.values()) > _MOST_BYTES:
        _kept.popitem(last=False)
    for name, data in files.items():
        (path.parent / name).write_bytes(data)
