"""Playlists among listed objects: a finished one is a recording, and the objects that it names are left out.

If `live`, a playlist that is still written is a recording too. The objects that a playlist named before belong to it as
well: a sliding playlist drops its first segments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from clipengine.basis.documents import ReadDocument, read_here
from clipengine.basis.timecode import now_ms
from clipengine.errors import ObjectMissing, StorageDenied
from clipengine.recordings.discovery import may_be_piece
from clipengine.stores.base import Store, StoredObject
from clipengine.stores.playlists import NamedObjects, named_objects

# A registered playlist that is older is neither read nor kept: all objects beside it are registered, or are its pieces.
_SETTLED_MS = 3_600_000
_UNREAD = NamedObjects(None, ended=True)


class WatchedPlaylists:
    """Objects that the playlists of a store name. A playlist is read again when its ETag changes.

    `trusts_times`: the store says when an object appeared. In a folder, a copied file may have an older time.
    """

    def __init__(
        self,
        store: Store,
        *,
        base_url: str = "",
        trusts_times: bool = False,
        live: bool = False,
        read: ReadDocument = read_here,
    ) -> None:
        self._store = store
        self._read_document = read
        self._base_url = base_url
        self._trusts_times = trusts_times
        self._live = live
        self._named: dict[str, tuple[str, NamedObjects]] = {}  # by key, with ETags: see _etags

    def recordings(
        self,
        prefix: str,
        files: Mapping[str, StoredObject],
        playlists: Mapping[str, StoredObject],
        known: Mapping[str, str],
    ) -> dict[str, StoredObject]:
        """Return the files and the finished playlists below a prefix that no other playlist names.

        `known` has the ETags of registered objects.
        """
        new = {key: found for key, found in {**files, **playlists}.items() if known.get(key) != found.etag}
        settled = _settled(playlists, new) if self._trusts_times else {}
        self._read(prefix, {key: found for key, found in playlists.items() if key not in settled}, files)
        folders = {_folder(key) for key in settled}
        finished = {
            key: playlists[key]
            for key, (_, named) in self._named.items()
            if key in playlists and (named.ended or (self._live and named.keys))
        }
        finished |= settled
        owned = {key for _, named in self._named.values() for key in named.keys or ()}
        written = {_folder(key) for key, (_, named) in self._named.items() if not named.ended}
        owned |= {key for key in files if written and _folder(key) in written and may_be_piece(key)}
        unread = self._unread()
        return {
            key: found
            for key, found in {**files, **finished}.items()
            if key not in owned
            and not any(key != playlist and key.startswith(folder) for playlist, folder in unread)
            and not (key in new and any(folder in folders for folder in _folders(key)))
        }

    def hidden(self, files: Mapping[str, StoredObject], listed: Mapping[str, object]) -> Iterator[tuple[str, int]]:
        """Yield the playlists that cannot be read, each with the number of files that are left out because of it."""
        for playlist, folder in self._unread():
            count = sum(key.startswith(folder) and key not in listed for key in files)
            if count:
                yield playlist, count

    def _unread(self) -> list[tuple[str, str]]:
        """Return the playlists that cannot be read, and their folders, all of which may belong to them."""
        return [(key, _folder(key)) for key, (_, named) in self._named.items() if named.keys is None]

    def is_written(self, key: str) -> bool:
        """Return True if the playlist had not ended when it was read."""
        return key in self._named and not self._named[key][1].ended

    def _read(self, prefix: str, playlists: Mapping[str, StoredObject], files: Mapping[str, StoredObject]) -> None:
        for key in [key for key in self._named if key.startswith(prefix) and key not in playlists]:
            del self._named[key]
        for key, found in playlists.items():
            known = self._named.get(key)
            if known is None or known[0] != _etags(found, known[1], playlists):
                try:
                    named = named_objects(self._store, key, base_url=self._base_url, read=self._read_document)
                    if known is not None and named.keys is not None:
                        before = known[1].keys or frozenset()
                        named = named._replace(keys=named.keys | (before & files.keys()))
                    self._named[key] = _etags(found, named, playlists), named
                except ObjectMissing:  # it was deleted meanwhile
                    self._named.pop(key, None)
                except StorageDenied:  # its registration fails with this code
                    self._named[key] = _etags(found, _UNREAD, playlists), _UNREAD


def _etags(found: StoredObject, named: NamedObjects, playlists: Mapping[str, StoredObject]) -> str:
    """Return the ETag of a playlist and, unless it has ended, the ETags of playlists that it names."""
    inner = set() if named.ended or named.keys is None else named.keys & playlists.keys()
    return " ".join([found.etag, *(playlists[key].etag for key in sorted(inner))])


def _settled(playlists: Mapping[str, StoredObject], new: Mapping[str, StoredObject]) -> dict[str, StoredObject]:
    """Return the registered playlists that are old, and newer than all new objects in their folders."""
    newest = _newest(new.values())
    before = now_ms() - _SETTLED_MS
    return {
        key: found
        for key, found in playlists.items()
        if key not in new and found.modified < before and newest.get(_folder(key), 0) <= found.modified
    }


def _newest(listed: Iterable[StoredObject]) -> dict[str, int]:
    """Return the time of the newest object in each folder, and in those below it."""
    newest: dict[str, int] = {}
    for found in listed:
        for folder in _folders(found.key):
            newest[folder] = max(newest.get(folder, 0), found.modified)
    return newest


def _folder(key: str) -> str:
    return key.rpartition("/")[0] + "/"


def _folders(key: str) -> Iterator[str]:
    """Yield the folder of a key, and the folders above it."""
    end = key.rfind("/")
    while end >= 0:
        yield key[: end + 1]
        end = key.rfind("/", 0, end)
