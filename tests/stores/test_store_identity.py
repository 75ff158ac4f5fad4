"""A folder that is not the store is reported as an outage and is not written to."""

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
from clipengine.recordings.recording import RecordingSpec
from clipengine.stores.folder import FolderStore

FILM = b"0123456789" * 1000
SHA256 = hashlib.sha256(FILM).hexdigest()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def serve(root: Path, ledger: Ledger) -> Callable[..., FolderStore]:
    """Return a function that opens the store as an engine does at its start."""
    return lambda place=root, prefix="": FolderStore(place, prefix, identity=ledger.store_identity)


@pytest.fixture
def store(serve: Callable[..., FolderStore]) -> FolderStore:
    """A store that holds one object."""
    made = serve()
    put(made, "h_01/meeting.mp4")
    return made


def put(store: FolderStore, key: str) -> None:
    store.put(key, io.BytesIO(FILM), size=len(FILM), content_type="video/mp4", sha256=SHA256)


def register_recording(ledger: Ledger) -> None:
    ledger.recordings.register("h_01/meeting.mp4", RecordingSpec(name="meeting"), etag="1-1", size=1)


def all_operations(store: FolderStore) -> Iterator[tuple[str, Callable[[], object]]]:
    yield "head", lambda: store.head("h_01/meeting.mp4")
    yield "open", lambda: store.open("h_01/meeting.mp4")
    yield "list", lambda: list(store.list())
    yield "put", lambda: put(store, "h_01/clips/a.mp4")
    yield "put_stream", lambda: store.put_stream("b", io.BytesIO(FILM), content_type="a/b", limit=1 << 20)
    yield "delete", lambda: store.delete("h_01/meeting.mp4")
    yield "sweep", store.sweep_uploads
    yield "check", store.check


def assert_unavailable(store: FolderStore, words: str) -> str:
    """Assert that every operation raises StorageUnavailable with these words, and return the hint."""
    for name, operation in all_operations(store):
        with pytest.raises(StorageUnavailable, match=words) as raised:
            operation()
        assert raised.value.retryable, name
    return raised.value.hint


def tree(folder: Path) -> set[str]:
    return {str(each.relative_to(folder)) for each in folder.rglob("*")}


@contextmanager
def mounted_disk(place: Path) -> Iterator[None]:
    """Mount an empty file system at the path."""
    if os.getuid() != 0:
        pytest.skip("only root can mount")
    if subprocess.run(["mount", "-t", "tmpfs", "none", place], capture_output=True, check=False).returncode:
        pytest.skip("mount is not permitted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


class TestOutage:
    def test_moved_folder_is_an_outage_until_it_is_back(self, store: FolderStore, root: Path) -> None:
        root.rename(root.with_name("elsewhere"))
        hint = assert_unavailable(store, f"the store's folder {root} does not exist")
        assert "put it back" in hint
        assert not root.exists()
        root.with_name("elsewhere").rename(root)
        assert store.head("h_01/meeting.mp4").sha256 == SHA256
        put(store, "h_01/clips/a.mp4")
        assert [each.key for each in store.list()] == ["h_01/clips/a.mp4", "h_01/meeting.mp4"]

    def test_empty_folder_in_its_place_is_not_the_store(self, store: FolderStore, root: Path) -> None:
        root.rename(root.with_name("elsewhere"))
        root.mkdir()
        assert_unavailable(store, f"the folder {root} is not the store")
        assert not list(root.iterdir())

    def test_files_of_the_same_names_are_not_the_store(self, store: FolderStore, root: Path) -> None:
        root.rename(root.with_name("elsewhere"))
        (root / "h_01").mkdir(parents=True)
        (root / "h_01" / "meeting.mp4").write_bytes(b"another")
        before = tree(root)
        assert_unavailable(store, "is not the store")
        assert tree(root) == before

    def test_store_of_another_engine_is_rejected(self, store: FolderStore, root: Path, tmp_path: Path) -> None:
        root.rename(root.with_name("elsewhere"))
        other = Ledger.open(tmp_path / "other.db", key_prefix="relay_live", organisation_id="o", max_queued=10)
        try:
            put(FolderStore(root, identity=other.store_identity), "h_01/meeting.mp4")
        finally:
            other.close()
        assert_unavailable(store, f"the folder {root} is another store")

    def test_file_in_its_place_is_reported(self, store: FolderStore, root: Path) -> None:
        root.rename(root.with_name("elsewhere"))
        root.write_bytes(b"")
        assert_unavailable(store, f"the store's folder {root} is not a folder")

    def test_mount_point_without_permissions_is_an_outage(self, store: FolderStore, root: Path, ledger: Ledger) -> None:
        root.rename(root.with_name("elsewhere"))
        root.mkdir(mode=0)
        setpriv = shutil.which("setpriv")
        if setpriv is None or os.getuid() != 0:
            pytest.skip("only root can change the owner of files")
        os.chown(root, 65534, 65534)
        program = f"""
from pathlib import Path
from clipengine.errors import StorageUnavailable
from clipengine.ledger.ledger import Ledger
from clipengine.stores.folder import FolderStore
place = Path({str(root.with_name("data") / "ledger.db")!r})
ledger = Ledger.open(place, key_prefix='relay_live', organisation_id='o', max_queued=1)
try:
    FolderStore(Path({str(root)!r}), identity=ledger.store_identity).head('h_01/meeting.mp4')
except StorageUnavailable as error:
    print(error.message)
"""
        command = [setpriv, "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout == f"this process has no permission for the store's folder {root}\n"

    def test_disk_mounted_over_the_store_is_an_outage(self, store: FolderStore, root: Path) -> None:
        with mounted_disk(root):
            assert_unavailable(store, "is not the store")
            assert not list(root.iterdir())
        assert store.head("h_01/meeting.mp4").sha256 == SHA256

    def test_unmounted_disk_is_an_outage(self, serve: Callable[..., FolderStore], root: Path) -> None:
        root.mkdir()
        with mounted_disk(root):
            store = serve()
            put(store, "h_01/meeting.mp4")
            with_reader = store.open("h_01/meeting.mp4")
        assert_unavailable(store, "is not the store")
        assert not list(root.iterdir())
        assert with_reader.read_at(0, len(FILM)) == FILM  # open files stay readable, so a running clip completes
        with_reader.close()

    def test_reader_reports_an_outage_if_the_whole_store_is_deleted(self, store: FolderStore, root: Path) -> None:
        reader = store.open("h_01/meeting.mp4")
        shutil.rmtree(root)
        with pytest.raises(StorageUnavailable, match="does not exist"):
            reader.read_at(0, 1)
        reader.close()

    def test_list_reports_an_outage_at_its_end(self, store: FolderStore, root: Path) -> None:
        put(store, "h_02/meeting.mp4")
        found = store.list()
        assert next(found).key == "h_01/meeting.mp4"
        root.rename(root.with_name("elsewhere"))
        with pytest.raises(StorageUnavailable):
            list(found)


class _InterruptedBody(io.BytesIO):
    """A body that calls `interrupt` when half of it has been read."""

    def __init__(self, interrupt: Callable[[], object]) -> None:
        super().__init__(FILM * 500)
        self._interrupt = interrupt
        self._interrupted = False

    def read(self, size: int | None = -1, /) -> bytes:
        if not self._interrupted and self.tell() > len(FILM) * 250:
            self._interrupted = True
            self._interrupt()
        return super().read(size)


class TestOutageDuringUpload:
    """The upload fails, and its temporary file is swept when the store is back."""

    def upload(self, store: FolderStore, interrupt: Callable[[], object]) -> None:
        with pytest.raises(StorageUnavailable):
            store.put_stream("h_02/up.mp4", _InterruptedBody(interrupt), content_type="video/mp4", limit=1 << 30)

    @pytest.mark.parametrize("left", [None, "empty", "another"])
    def test_folder_moved_during_an_upload(self, store: FolderStore, root: Path, left: str | None) -> None:
        elsewhere = root.with_name("elsewhere")

        def move() -> None:
            root.rename(elsewhere)
            if left:
                root.mkdir()
            if left == "another":
                (root / "other.mp4").write_bytes(b"")

        self.upload(store, move)
        assert tree(root) == ({"other.mp4"} if left == "another" else set())
        shutil.rmtree(root, ignore_errors=True)
        elsewhere.rename(root)
        assert store.sweep_uploads() == 1
        assert [each.key for each in store.list()] == ["h_01/meeting.mp4"]
        assert not (root / "h_02").exists()

    def test_disk_unmounted_during_an_upload(self, serve: Callable[..., FolderStore], root: Path) -> None:
        root.mkdir()
        with mounted_disk(root):
            store = serve()
            self.upload(store, lambda: subprocess.run(["umount", "--lazy", root], check=True))
            assert not list(root.iterdir())
            subprocess.run(["mount", "-t", "tmpfs", "none", root], check=True)  # unmounted at the end of the block

    def test_upload_is_not_published_if_the_store_is_moved_before_the_rename(
        self, store: FolderStore, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rename = os.rename

        def move_store_then_rename(source: Path, target: Path) -> None:
            if target == root / "h_02" / "up.mp4":
                rename(root, root.with_name("elsewhere"))
                (root / "h_02").mkdir(parents=True)
            rename(source, target)

        monkeypatch.setattr(os, "rename", move_store_then_rename)
        with pytest.raises(StorageUnavailable):
            store.put_stream("h_02/up.mp4", io.BytesIO(FILM), content_type="video/mp4", limit=1 << 20)
        assert tree(root) == {"h_02"}


class TestStart:
    def test_first_start_creates_the_folder(
        self, serve: Callable[..., FolderStore], root: Path, ledger: Ledger
    ) -> None:
        serve(prefix="kept/here").check()
        assert (root / ".clipengine" / "id").read_text() == f"{ledger.store_identity.recorded()}\n"
        assert tree(root) == {".clipengine", ".clipengine/id", "kept", "kept/here"}

    def test_later_start_does_not_create_the_folder(
        self, store: FolderStore, serve: Callable[..., FolderStore], root: Path
    ) -> None:
        root.rename(root.with_name("elsewhere"))
        again = serve()
        assert_unavailable(again, "does not exist")
        assert not root.exists()
        root.with_name("elsewhere").rename(root)
        assert again.head("h_01/meeting.mp4").sha256 == SHA256

    def test_symbolic_link_with_a_new_target_is_followed(
        self, store: FolderStore, serve: Callable[..., FolderStore], root: Path
    ) -> None:
        root.rename(root.with_name("elsewhere"))
        again = serve(prefix="h_01")
        root.symlink_to("elsewhere")
        assert again.head("meeting.mp4").sha256 == SHA256
        root.with_name("elsewhere").rename(root.with_name("further"))
        assert_unavailable(again, "does not exist")
        root.unlink()
        root.symlink_to("further")
        assert again.head("meeting.mp4").sha256 == SHA256

    def test_copied_store_is_accepted_at_its_new_location(
        self, store: FolderStore, serve: Callable[..., FolderStore], root: Path, tmp_path: Path
    ) -> None:
        subprocess.run(["cp", "-a", root, tmp_path / "larger"], check=True)
        assert serve(tmp_path / "larger").head("h_01/meeting.mp4").sha256 == SHA256

    def test_command_in_the_hint_accepts_an_empty_folder(
        self, store: FolderStore, serve: Callable[..., FolderStore], tmp_path: Path
    ) -> None:
        fresh = tmp_path / "a new place"
        command = re.search("`(mkdir -p .*)`", assert_unavailable(serve(fresh), "does not exist"))
        assert command is not None
        again = serve(fresh)
        subprocess.run(["sh", "-c", command[1]], check=True)
        with pytest.raises(ObjectMissing):
            again.head("h_01/meeting.mp4")
        put(again, "h_01/meeting.mp4")
        assert serve(fresh).head("h_01/meeting.mp4").sha256 == SHA256

    def test_command_in_the_hint_uses_absolute_paths(
        self, store: FolderStore, serve: Callable[..., FolderStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("link").symlink_to("gone")
        again = serve(Path("link"))
        command = re.search(
            "`mkdir -p (.*) && echo .* > (.*)`", assert_unavailable(again, f"{tmp_path}/link does not exist")
        )
        assert command is not None
        assert command.groups() == (f"{tmp_path}/link/.clipengine", f"{tmp_path}/link/.clipengine/id")

    def test_new_ledger_accepts_an_existing_store(self, store: FolderStore, tmp_path: Path) -> None:
        new = Ledger.open(tmp_path / "new.db", key_prefix="relay_live", organisation_id="o", max_queued=10)
        try:
            again = FolderStore(tmp_path / "store", identity=new.store_identity)
            assert again.head("h_01/meeting.mp4").sha256 == SHA256
        finally:
            new.close()
        store.check()


class TestStoreOfAnEarlierVersion:
    """Neither the ledger nor the folder has an id."""

    @pytest.mark.parametrize("written", [True, False])
    def test_existing_store_without_id_is_accepted(
        self, serve: Callable[..., FolderStore], root: Path, ledger: Ledger, written: bool
    ) -> None:
        earlier = FolderStore(root)
        (root / "h_01").mkdir()
        (root / "h_01" / "meeting.mp4").write_bytes(FILM)
        if written:
            put(earlier, "h_01/clips/a.mp4")
        register_recording(ledger)
        assert serve().head("h_01/meeting.mp4").size == len(FILM)
        root.rename(root.with_name("elsewhere"))
        assert_unavailable(serve(), "does not exist")

    @pytest.mark.parametrize("left", [None, "empty"])
    def test_missing_or_empty_store_is_not_accepted(
        self, serve: Callable[..., FolderStore], root: Path, ledger: Ledger, left: str | None
    ) -> None:
        register_recording(ledger)
        if left:
            root.mkdir()
        again = serve()
        assert_unavailable(again, "is not the store" if left else "does not exist")
        assert not tree(root)
        (root / "h_01").mkdir(parents=True)
        (root / "h_01" / "meeting.mp4").write_bytes(FILM)
        assert again.head("h_01/meeting.mp4").size == len(FILM)
        assert ledger.store_identity.recorded() is not None

    def test_empty_id_file_is_replaced(self, serve: Callable[..., FolderStore], root: Path, ledger: Ledger) -> None:
        (root / ".clipengine").mkdir(parents=True)
        (root / ".clipengine" / "id").write_bytes(b"")
        serve().check()
        assert (root / ".clipengine" / "id").read_text().strip() == ledger.store_identity.recorded()
