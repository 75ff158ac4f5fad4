"""Folder store: files of other programs, symbolic links, permissions and a full disk."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clipengine.errors import (
    DiskFull,
    InvalidBucketPath,
    ObjectChanged,
    ObjectMissing,
    StorageDenied,
    StorageUnavailable,
)
from clipengine.stores.folder import FolderStore
from clipengine.stores.locked_files import create_locked
from clipengine.stores.os_errors import translate_os_errors


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def folder(root: Path) -> FolderStore:
    return FolderStore(root)


def put(folder: FolderStore, key: str, data: bytes) -> str:
    digest = hashlib.sha256(data).hexdigest()
    return folder.put(key, io.BytesIO(data), size=len(data), content_type="video/x-test", sha256=digest).etag


def visible(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_file_written_by_another_program_is_an_object(folder: FolderStore, root: Path) -> None:
    (root / "a").mkdir()
    (root / "a" / "talk.mp4").write_bytes(b"film")
    info = folder.head("a/talk.mp4")
    assert (info.size, info.content_type, info.sha256) == (4, "video/mp4", None)
    assert [found.key for found in folder.list()] == ["a/talk.mp4"]


def test_list_skips_what_has_no_key_and_names_it(folder: FolderStore, root: Path) -> None:
    put(folder, "z/talk.mp4", b"film")
    os.mkdir(os.fsencode(root) + b"/a")
    (root / "a" / "line\nfeed.mp4").write_bytes(b"film")
    with open(os.fsencode(root) + b"/a/\xff.mp4", "wb") as file:
        file.write(b"film")
    current = os.getcwd()
    os.chdir(root / "a")
    try:
        for _ in range(600):  # more than a key has bytes, and more than generators can be nested
            os.mkdir("nn")
            os.chdir("nn")
    finally:
        os.chdir(current)
    skipped: list[str] = []
    assert [each.key for each in folder.list(skipped=lambda key, _: skipped.append(key))] == ["z/talk.mp4"]
    assert sorted(key[:10] for key in skipped) == ["a/line\nfee", "a/nn/nn/nn", "a/\udcff.mp4"]


def test_replaced_file_has_a_new_etag_and_no_sha256(folder: FolderStore, root: Path) -> None:
    etag = put(folder, "k", b"film")
    (root / "new").write_bytes(b"movi")
    (root / "new").rename(root / "k")
    info = folder.head("k")
    assert info.etag != etag
    assert (info.sha256, info.content_type) == (None, "application/octet-stream")
    with pytest.raises(ObjectChanged):
        folder.open("k", etag=etag)


def test_reader_raises_if_the_file_is_appended_to(folder: FolderStore, root: Path) -> None:
    put(folder, "k", b"film")
    reader = folder.open("k")
    with (root / "k").open("ab") as file:
        file.write(b"more")
    with pytest.raises(ObjectChanged):
        reader.read_at(0, 4)
    reader.close()


def test_copy_with_preserved_times_keeps_etags_and_metadata(folder: FolderStore, root: Path, tmp_path: Path) -> None:
    etag = put(folder, "a/k", b"film")
    subprocess.run(["cp", "-a", root, tmp_path / "restored"], check=True)
    restored = FolderStore(tmp_path / "restored").head("a/k")
    assert (restored.etag, restored.sha256) == (etag, hashlib.sha256(b"film").hexdigest())


def test_every_put_has_a_distinct_etag(folder: FolderStore) -> None:
    assert len({put(folder, "k", b"%03d" % n) for n in range(50)}) == 50


def test_child_process_can_read_through_the_descriptor(folder: FolderStore) -> None:
    put(folder, "k", b"0123456789")
    reader = folder.open("k")
    fd = reader.fileno()
    assert fd is not None
    program = f"import os; print(os.pread({fd}, 3, 4).decode())"
    done = subprocess.run([sys.executable, "-c", program], pass_fds=[fd], capture_output=True, text=True, check=True)
    assert done.stdout == "456\n"
    reader.close()


def test_symbolic_links_that_leave_the_store_are_rejected(folder: FolderStore, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (root / "file").symlink_to(outside / "secret")
    (root / "dir").symlink_to(outside)
    (root / "up").symlink_to("..")
    for key in ("file", "dir/secret", "up/outside/secret"):
        with pytest.raises(StorageDenied) as caught:
            folder.head(key)
        assert "no link may leave the store" in caught.value.hint
        with pytest.raises(StorageDenied):
            folder.open(key)
    with pytest.raises(StorageDenied):
        put(folder, "dir/new", b"x")
    with pytest.raises(StorageDenied):
        folder.delete("dir/secret")
    with pytest.raises(StorageDenied):
        list(folder.list("dir/"))
    assert [found.key for found in folder.list()] == []
    assert sorted(outside.iterdir()) == [outside / "secret"]


def test_link_inside_the_store_is_followed_and_replaced_by_put(folder: FolderStore, root: Path) -> None:
    put(folder, "a/real", b"film")
    (root / "link").symlink_to("a/real")
    (root / "gone").symlink_to("nowhere")
    assert folder.head("link").size == 4
    assert [found.key for found in folder.list()] == ["a/real", "link"]
    put(folder, "link", b"other")
    assert (folder.head("a/real").size, folder.head("link").size) == (4, 5)
    folder.delete("link")
    assert folder.head("a/real").size == 4
    with pytest.raises(ObjectMissing):
        folder.head("gone")


def test_named_pipe_is_not_an_object(folder: FolderStore, root: Path) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(ObjectMissing):
        folder.open("pipe")
    with pytest.raises(ObjectMissing):
        folder.head("pipe")
    assert [found.key for found in folder.list()] == []


def test_key_cannot_be_both_a_file_and_a_folder(folder: FolderStore) -> None:
    put(folder, "a/b", b"x")
    for key in ("a", "a/b/c", "a/" + "n" * 256):
        with pytest.raises(InvalidBucketPath):
            put(folder, key, b"x")
    folder.delete("a")
    assert [found.key for found in folder.list()] == ["a/b"]


def test_reserved_files_are_not_objects(folder: FolderStore, root: Path) -> None:
    put(folder, "k", b"x")
    own = [name for name in visible(root) if name != "k"]
    assert own
    assert all(name.startswith(".clipengine/meta/") for name in own)
    assert [found.key for found in folder.list()] == ["k"]
    assert [found.key for found in folder.list(".clip")] == []
    for key in own:
        with pytest.raises(InvalidBucketPath):
            folder.head(key)


def test_metadata_is_deleted_with_its_object(folder: FolderStore, root: Path) -> None:
    put(folder, "k", b"one")
    put(folder, "k", b"two")
    assert len(visible(root)) == 2
    folder.delete("k")
    assert visible(root) == []


def test_damaged_metadata_is_ignored_and_rewritten(folder: FolderStore, root: Path) -> None:
    put(folder, "k", b"one")
    for path in (root / ".clipengine" / "meta").rglob("*"):
        if path.is_file():
            path.write_bytes(b'["not what')
    assert folder.head("k").sha256 is None
    put(folder, "k", b"one")
    assert folder.head("k").sha256 == hashlib.sha256(b"one").hexdigest()


def test_file_names_that_are_not_valid_keys_are_not_listed(folder: FolderStore, root: Path) -> None:
    (root / os.fsdecode(b"\xff.mp4")).write_bytes(b"x")
    (root / "line\nfeed").write_bytes(b"x")
    put(folder, "k", b"x")
    assert [found.key for found in folder.list()] == ["k"]


def test_sweep_deletes_only_files_of_killed_processes(folder: FolderStore, root: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from clipengine.stores.folder import FolderStore
class Body:
    def read(self, size):
        if hasattr(self, 'once'):
            os.kill(os.getpid(), signal.SIGKILL)
        self.once = True
        return b'x' * size
FolderStore(Path({str(root)!r})).put_stream('k', Body(), content_type='a/b', limit=1 << 30)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    put(folder, "whole", b"x")
    with create_locked(root / ".clipengine" / "tmp") as living:
        assert folder.sweep_uploads() == 1
        assert living.path.exists()
    assert folder.sweep_uploads() == 0
    assert [found.key for found in folder.list()] == ["whole"]
    assert list((root / ".clipengine" / "tmp").iterdir()) == []


def test_write_to_a_full_disk_raises_disk_full(root: Path) -> None:
    # A file size limit makes the same write(2) fail that a full disk does.
    program = f"""
import hashlib, io, signal, sys
from pathlib import Path
import resource
from clipengine.errors import DiskFull
from clipengine.stores.folder import FolderStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
folder = FolderStore(Path({str(root)!r}))
try:
    folder.put_stream('k', io.BytesIO(bytes(3 << 20)), content_type='a/b', limit=1 << 30)
except DiskFull as error:
    print(error.code, list(folder.list()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "disk_full []\n"
    assert visible(root) == []


@pytest.mark.parametrize(
    ("number", "kind"),
    [(28, DiskFull), (122, DiskFull), (13, StorageDenied), (30, StorageDenied), (5, StorageUnavailable)],
)
def test_os_errors_are_translated(number: int, kind: type[Exception]) -> None:
    with pytest.raises(kind), translate_os_errors("k"):
        raise OSError(number, os.strerror(number))


def test_check_reports_a_missing_folder(folder: FolderStore, root: Path) -> None:
    folder.check()
    root.rename(root.with_name("elsewhere"))
    with pytest.raises(StorageUnavailable, match="does not exist"):
        folder.check()


@pytest.mark.skipif(os.geteuid() == 0, reason="root ignores permissions")
def test_folder_without_write_permission_is_reported(folder: FolderStore, root: Path) -> None:
    root.chmod(0o500)
    try:
        with pytest.raises(StorageDenied):
            put(folder, "k", b"x")
        with pytest.raises(StorageDenied):
            folder.check()
    finally:
        root.chmod(0o700)


def test_file_that_grows_is_read_under_one_etag_until_it_is_written_anew(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    path = tmp_path / "a.ts"
    path.write_bytes(b"a" * 5000)
    found = store.growing("a.ts")
    with path.open("ab") as file:
        file.write(b"b" * 5000)
    reader = store.open("a.ts", etag=found.etag)
    assert (reader.info.size, reader.read_at(4999, 10)) == (10_000, b"a" + b"b" * 9)
    with path.open("ab") as file:
        file.write(b"c")
    assert reader.read_at(9_990, 100) == b"b" * 10  # of the size that it had when it was opened
    with path.open("r+b") as file:
        file.write(b"x")
    for read in (lambda: reader.read_at(0, 1), lambda: store.open("a.ts", etag=found.etag)):
        with pytest.raises(ObjectChanged):
            read()
    reader.close()


@pytest.mark.parametrize("change", ["shortened", "replaced"])
def test_growing_file_that_is_another_one_is_refused(change: str, tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    path = tmp_path / "a.ts"
    path.write_bytes(b"a" * 5000)
    etag = store.growing("a.ts").etag
    reader = store.open("a.ts", etag=etag)
    if change == "shortened":
        path.write_bytes(b"a" * 4900)
    else:
        path.rename(tmp_path / "b.ts")
        path.write_bytes(b"a" * 5000)
        with pytest.raises(ObjectChanged):
            store.open("a.ts", etag=etag)
        assert reader.read_at(0, 1) == b"a"  # the one that was opened still has a name
        (tmp_path / "b.ts").unlink()
    with pytest.raises(ObjectChanged):
        reader.read_at(0, 1)
    reader.close()
