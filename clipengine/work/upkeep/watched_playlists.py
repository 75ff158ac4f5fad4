"""Playlists among listed objects: a finished one is a recording, and the objects that it names are left out."""

from __future__ import annotations

from collections.abc import Mapping

from clipengine.errors import ObjectMissing
from clipengine.stores.base import Store, StoredObject
from clipengine.stores.playlists import NamedObjects, named_objects


class WatchedPlaylists:
    """Objects that the playlists of a store name. A playlist is read again when its ETag changes."""

    def __init__(self, store: Store, *, base_url: str = "") -> None:
        self._store = store
        self._base_url = base_url
        self._named: dict[str, tuple[str, NamedObjects]] = {}  # by key, with the ETag

    def recordings(
        self, prefix: str, files: Mapping[str, StoredObject], playlists: Mapping[str, StoredObject]
    ) -> dict[str, StoredObject]:
        """Return the files and the finished playlists below a prefix that no other playlist names."""
        self._read(prefix, playlists)
        finished = {key: playlists[key] for key, (_, named) in self._named.items() if key in playlists and named.ended}
        owned = {key for _, named in self._named.values() for key in named.keys or ()}
        # All of the folder may belong to a playlist that cannot be read.
        unread = [(key, key.rpartition("/")[0] + "/") for key, (_, named) in self._named.items() if named.keys is None]
        return {
            key: found
            for key, found in {**files, **finished}.items()
            if key not in owned and not any(key != playlist and key.startswith(folder) for playlist, folder in unread)
        }

    def _read(self, prefix: str, playlists: Mapping[str, StoredObject]) -> None:
        for key in [key for key in self._named if key.startswith(prefix) and key not in playlists]:
            del self._named[key]
        for key, found in playlists.items():
            if key not in self._named or self._named[key][0] != found.etag:
                try:
                    self._named[key] = found.etag, named_objects(self._store, key, base_url=self._base_url)
                except ObjectMissing:  # it was deleted meanwhile
                    self._named.pop(key, None)
