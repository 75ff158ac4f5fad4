"""The store that a ledger knows is told from what lies at its place while it is away, and nothing is done to that."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clipengine.errors import ObjectMissing, StorageUnavailable
from clipengine.ledger.ledger import Ledger
from clipengine.stores.folder import FolderStore

FILM = b"0123456789" * 1000
SHA256 = hashlib.sha256(FILM).hexdigest()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def serve(root: Path, ledger: Ledger) -> Callable[..., FolderStore]:
    """The store as an engine with this ledger opens it, each call a start."""
    return lambda place=root, prefix="": FolderStore(place, prefix, known=ledger.known_store)


@pytest.fixture
def store(serve: Callable[..., FolderStore]) -> FolderStore:
    """A store in use."""
    made = serve()
    put(made, "h_01/meeting.mp4")
    return made


def put(store: FolderStore, key: str) -> None:
    store.put(key, io.BytesIO(FILM), size=len(FILM), content_type="video/mp4", sha256=SHA256)


def knows_a_recording(ledger: Ledger) -> None:
    ledger.recordings.register("h_01/meeting.mp4", etag="1-1", size=1, name="meeting")


def everything(store: FolderStore) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every operation of a store."""
    yield "head", lambda: store.head("h_01/meeting.mp4")
    yield "open", lambda: store.open("h_01/meeting.mp4")
    yield "list", lambda: list(store.list())
    yield "put", lambda: put(store, "h_01/clips/a.mp4")
    yield "put_stream", lambda: store.put_stream("b", io.BytesIO(FILM), content_type="a/b", limit=1 << 20)
    yield "delete", lambda: store.delete("h_01/meeting.mp4")
    yield "sweep", store.sweep_uploads
    yield "check", store.check


def is_away(store: FolderStore, words: str) -> str:
    """Every operation says so, in these words; what it says is to be done."""
    for name, operation in everything(store):
        with pytest.raises(StorageUnavailable, match=words) as raised:
            operation()
        assert raised.value.retryable, name
    return raised.value.hint


def tree(folder: Path) -> set[str]:
    return {str(each.relative_to(folder)) for each in folder.rglob("*")}


@contextmanager
def disk(place: Path) -> Iterator[None]:
    """A file system of its own at the place, which hides what is there."""
    if os.getuid() != 0:
        pytest.skip("only root can mount")
    if subprocess.run(["mount", "-t", "tmpfs", "none", place], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


class TestAway:
    def test_a_folder_that_was_moved(self, store: FolderStore, root: Path) -> None:
        root.rename(root.with_name("elsewhere"))
        hint = is_away(store, f"the store's folder {root} does not exist")
        assert "put it back" in hint
        assert not root.exists()
        root.with_name("elsewhere").rename(root)
        assert store.head("h_01/meeting.mp4").sha256 == SHA256
        put(store, "h_01/clips/a.mp4")
        assert [each.key for each in store.list()] == ["h_01/clips/a.mp4", "h_01/meeting.mp4"]

    def test_an_empty_folder_at_its_place(self, store: FolderStore, root: Path) -> None:
        root.rename(root.with_name("elsewhere"))
        root.mkdir()
        is_away(store, f"the folder {root} is not the store")
        assert not list(root.iterdir())

    def test_another_disk_with_files_of_the_same_names(self, store: FolderStore, root: Path) -> None:
        root.rename(root.with_name("elsewhere"))
        (root / "h_01").mkdir(parents=True)
        (root / "h_01" / "meeting.mp4").write_bytes(b"another")
        before = tree(root)
        is_away(store, "is not the store")
        assert tree(root) == before

    def test_the_store_of_another_engine(self, store: FolderStore, root: Path, tmp_path: Path) -> None:
        root.rename(root.with_name("elsewhere"))
        other = Ledger.open(tmp_path / "other.db", key_prefix="relay_live", organisation_id="o", max_queued=10)
        try:
            put(FolderStore(root, known=other.known_store), "h_01/meeting.mp4")
        finally:
            other.close()
        is_away(store, f"the folder {root} is another store")

    def test_a_file_at_its_place(self, store: FolderStore, root: Path) -> None:
        root.rename(root.with_name("elsewhere"))
        root.write_bytes(b"")
        is_away(store, f"the store's folder {root} is not a folder")

    def test_a_mount_point_that_is_closed_to_all(self, store: FolderStore, root: Path, ledger: Ledger) -> None:
        root.rename(root.with_name("elsewhere"))
        root.mkdir(mode=0)
        setpriv = shutil.which("setpriv")
        if setpriv is None or os.getuid() != 0:
            pytest.skip("only root can give files to somebody else")
        os.chown(root, 65534, 65534)
        program = f"""
from pathlib import Path
from clipengine.errors import StorageUnavailable
from clipengine.ledger.ledger import Ledger
from clipengine.stores.folder import FolderStore
place = Path({str(root.with_name("data") / "ledger.db")!r})
ledger = Ledger.open(place, key_prefix='relay_live', organisation_id='o', max_queued=1)
try:
    FolderStore(Path({str(root)!r}), known=ledger.known_store).head('h_01/meeting.mp4')
except StorageUnavailable as error:
    print(error.message)
"""
        command = [setpriv, "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout == f"the store's folder {root} is closed to this process\n"

    def test_a_mount_over_it(self, store: FolderStore, root: Path) -> None:
        with disk(root):
            is_away(store, "is not the store")
            assert not list(root.iterdir())
        assert store.head("h_01/meeting.mp4").sha256 == SHA256

    def test_a_mount_that_ends(self, serve: Callable[..., FolderStore], root: Path) -> None:
        root.mkdir()
        with disk(root):
            store = serve()
            put(store, "h_01/meeting.mp4")
            with_reader = store.open("h_01/meeting.mp4")
        is_away(store, "is not the store")
        assert not list(root.iterdir())
        assert with_reader.read_at(0, len(FILM)) == FILM  # what is open stays open: the clip is cut to its end
        with_reader.close()

    def test_what_was_removed_with_its_store_is_away(self, store: FolderStore, root: Path) -> None:
        reader = store.open("h_01/meeting.mp4")
        shutil.rmtree(root)
        with pytest.raises(StorageUnavailable, match="does not exist"):
            reader.read_at(0, 1)
        reader.close()

    def test_it_is_looked_for_at_the_end_of_a_list_too(self, store: FolderStore, root: Path) -> None:
        put(store, "h_02/meeting.mp4")
        found = store.list()
        assert next(found).key == "h_01/meeting.mp4"
        root.rename(root.with_name("elsewhere"))
        with pytest.raises(StorageUnavailable):
            list(found)


class _Going(io.BytesIO):
    """A body; `go` is called when half of it has been taken."""

    def __init__(self, go: Callable[[], object]) -> None:
        super().__init__(FILM * 500)
        self._go = go
        self._gone = False

    def read(self, size: int | None = -1, /) -> bytes:
        if not self._gone and self.tell() > len(FILM) * 250:
            self._gone = True
            self._go()
        return super().read(size)


class TestInTheMiddle:
    """The store goes away while something is written to it: the whole of it is not there, and the rest is swept."""

    def upload(self, store: FolderStore, go: Callable[[], object]) -> None:
        with pytest.raises(StorageUnavailable):
            store.put_stream("h_02/up.mp4", _Going(go), content_type="video/mp4", limit=1 << 30)

    @pytest.mark.parametrize("left", [None, "empty", "another"])
    def test_a_folder_that_is_moved(self, store: FolderStore, root: Path, left: str | None) -> None:
        elsewhere = root.with_name("elsewhere")

        def go() -> None:
            root.rename(elsewhere)
            if left:
                root.mkdir()
            if left == "another":
                (root / "other.mp4").write_bytes(b"")

        self.upload(store, go)
        assert tree(root) == ({"other.mp4"} if left == "another" else set())
        shutil.rmtree(root, ignore_errors=True)
        elsewhere.rename(root)
        assert store.sweep_uploads() == 1
        assert [each.key for each in store.list()] == ["h_01/meeting.mp4"]
        assert not (root / "h_02").exists()

    def test_a_mount_that_ends(self, serve: Callable[..., FolderStore], root: Path) -> None:
        root.mkdir()
        with disk(root):
            store = serve()
            self.upload(store, lambda: subprocess.run(["umount", "--lazy", root], check=True))
            assert not list(root.iterdir())
            subprocess.run(["mount", "-t", "tmpfs", "none", root], check=True)  # for the end of the block

    def test_at_the_last_moment(self, store: FolderStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """After the last look and before the rename: what is renamed has gone with the store."""
        rename = os.rename

        def late(source: Path, target: Path) -> None:
            if target == root / "h_02" / "up.mp4":
                rename(root, root.with_name("elsewhere"))
                (root / "h_02").mkdir(parents=True)
            rename(source, target)

        monkeypatch.setattr(os, "rename", late)
        with pytest.raises(StorageUnavailable):
            store.put_stream("h_02/up.mp4", io.BytesIO(FILM), content_type="video/mp4", limit=1 << 20)
        assert tree(root) == {"h_02"}


class TestStart:
    def test_the_first_makes_the_folder(self, serve: Callable[..., FolderStore], root: Path, ledger: Ledger) -> None:
        serve(prefix="kept/here").check()
        assert (root / ".clipengine" / "id").read_text() == f"{ledger.known_store.noted()}\n"
        assert tree(root) == {".clipengine", ".clipengine/id", "kept", "kept/here"}

    def test_no_later_one_does(self, store: FolderStore, serve: Callable[..., FolderStore], root: Path) -> None:
        root.rename(root.with_name("elsewhere"))
        again = serve()
        is_away(again, "does not exist")
        assert not root.exists()
        root.with_name("elsewhere").rename(root)
        assert again.head("h_01/meeting.mp4").sha256 == SHA256

    def test_a_link_that_comes_back(self, store: FolderStore, serve: Callable[..., FolderStore], root: Path) -> None:
        root.rename(root.with_name("elsewhere"))
        again = serve(prefix="h_01")
        root.symlink_to("elsewhere")
        assert again.head("meeting.mp4").sha256 == SHA256
        root.with_name("elsewhere").rename(root.with_name("further"))
        is_away(again, "does not exist")
        root.unlink()
        root.symlink_to("further")
        assert again.head("meeting.mp4").sha256 == SHA256

    def test_a_store_that_has_moved_with_all_of_it(
        self, store: FolderStore, serve: Callable[..., FolderStore], root: Path, tmp_path: Path
    ) -> None:
        subprocess.run(["cp", "-a", root, tmp_path / "larger"], check=True)
        assert serve(tmp_path / "larger").head("h_01/meeting.mp4").sha256 == SHA256

    def test_beginning_anew_is_what_the_error_says(
        self, store: FolderStore, serve: Callable[..., FolderStore], tmp_path: Path
    ) -> None:
        fresh = tmp_path / "a new place"
        command = re.search("`(mkdir -p .*)`", is_away(serve(fresh), "does not exist"))
        assert command is not None
        again = serve(fresh)
        subprocess.run(["sh", "-c", command[1]], check=True)
        with pytest.raises(ObjectMissing):
            again.head("h_01/meeting.mp4")
        put(again, "h_01/meeting.mp4")
        assert serve(fresh).head("h_01/meeting.mp4").sha256 == SHA256

    def test_the_error_can_be_followed_in_any_folder(
        self, store: FolderStore, serve: Callable[..., FolderStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("link").symlink_to("gone")
        again = serve(Path("link"))
        command = re.search("`mkdir -p (.*) && echo .* > (.*)`", is_away(again, f"{tmp_path}/link does not exist"))
        assert command is not None
        assert command.groups() == (f"{tmp_path}/link/.clipengine", f"{tmp_path}/link/.clipengine/id")

    def test_a_ledger_that_is_new_takes_the_store_that_is_there(self, store: FolderStore, tmp_path: Path) -> None:
        new = Ledger.open(tmp_path / "new.db", key_prefix="relay_live", organisation_id="o", max_queued=10)
        try:
            again = FolderStore(tmp_path / "store", known=new.known_store)
            assert again.head("h_01/meeting.mp4").sha256 == SHA256
        finally:
            new.close()
        store.check()


class TestOfAnEarlierVersion:
    """No id is noted, and none lies in the store."""

    @pytest.mark.parametrize("written", [True, False])
    def test_it_is_taken_as_it_is(
        self, serve: Callable[..., FolderStore], root: Path, ledger: Ledger, written: bool
    ) -> None:
        earlier = FolderStore(root)
        (root / "h_01").mkdir()
        (root / "h_01" / "meeting.mp4").write_bytes(FILM)
        if written:
            put(earlier, "h_01/clips/a.mp4")
        knows_a_recording(ledger)
        assert serve().head("h_01/meeting.mp4").size == len(FILM)
        root.rename(root.with_name("elsewhere"))
        is_away(serve(), "does not exist")

    @pytest.mark.parametrize("left", [None, "empty"])
    def test_it_is_away_at_the_first_start(
        self, serve: Callable[..., FolderStore], root: Path, ledger: Ledger, left: str | None
    ) -> None:
        knows_a_recording(ledger)
        if left:
            root.mkdir()
        again = serve()
        is_away(again, "is not the store" if left else "does not exist")
        assert not tree(root)
        (root / "h_01").mkdir(parents=True)
        (root / "h_01" / "meeting.mp4").write_bytes(FILM)
        assert again.head("h_01/meeting.mp4").size == len(FILM)
        assert ledger.known_store.noted() is not None

    def test_an_id_that_a_power_cut_has_emptied_is_none(
        self, serve: Callable[..., FolderStore], root: Path, ledger: Ledger
    ) -> None:
        (root / ".clipengine").mkdir(parents=True)
        (root / ".clipengine" / "id").write_bytes(b"")
        serve().check()
        assert (root / ".clipengine" / "id").read_text().strip() == ledger.known_store.noted()
