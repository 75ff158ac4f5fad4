"""The file of a clip behind an inherited descriptor, and the errors of writing it."""

from __future__ import annotations

import errno
import os

import av

from clipengine.errors import ClipEngineError, DiskFull, EncoderFailed, UnsupportedMedia
from clipengine.media.memory import raise_if_out_of_memory
from clipengine.media.sandbox.limits import is_out_of_memory

_CONVERTED = (av.FFmpegError, MemoryError, OSError, ValueError, RuntimeError)


class WritableFile:
    """Seekable file object over a descriptor; the muxer writes to it and reads back from it.

    A write that would leave less than `kept_free` bytes on the disk fails as on a full disk.
    """

    name = "clip"

    def __init__(self, descriptor: int, *, writable: bool = True, kept_free: int = 0) -> None:
        self._descriptor = descriptor
        self._writable = writable
        self._kept_free = kept_free
        self._position = 0
        self.error: OSError | None = None

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return self._writable

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_CUR:
            offset += self._position
        elif whence == os.SEEK_END:
            offset += os.lseek(self._descriptor, 0, os.SEEK_END)
        self._position = offset
        return offset

    def read(self, length: int) -> bytes:
        data = os.pread(self._descriptor, length, self._position)
        self._position += len(data)
        return data

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        try:
            self._check_space(len(data))
            while view:
                written = os.pwrite(self._descriptor, view, self._position)
                self._position += written
                view = view[written:]
        except OSError as error:
            self.error = error
            raise
        return len(data)

    def _check_space(self, size: int) -> None:
        if not self._kept_free:
            return
        found = os.fstatvfs(self._descriptor)
        if found.f_bavail * found.f_frsize - size < self._kept_free:
            raise OSError(errno.ENOSPC, "the rest is kept free, see limits.min_free_bytes")


class WriterErrors:
    """Reusable context manager that converts errors of encoders and muxer to ClipEngineErrors.

    They are DiskFull, UnsupportedMedia and EncoderFailed.
    """

    def __init__(self, file: WritableFile | None = None) -> None:
        self._file = file

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, ClipEngineError) or not isinstance(error, _CONVERTED) or is_out_of_memory(error):
            return
        cause = (self._file and self._file.error) or error
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"there is no space left for the clip's scratch file ({cause.strerror})") from None
        if isinstance(cause, OSError) and cause.errno == errno.EFBIG:
            raise UnsupportedMedia(UnsupportedMedia.TOO_LARGE) from None
        raise_if_out_of_memory()
        raise EncoderFailed(f"the encoder failed: {str(error)[:300]}") from error
