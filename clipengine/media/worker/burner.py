"""Encoder child that also draws captions, for which it loads Pillow and FriBidi before its sandbox is locked.

Started only for burnt-in subtitles, as `python -I -m clipengine.media.worker.burner …`; see
`media.worker.process`.
"""

from __future__ import annotations

from clipengine.media.memory import log_library_errors
from clipengine.media.previews.job import add_captions
from clipengine.media.worker.maker import do_job
from clipengine.media.worker.process import main

if __name__ == "__main__":
    add_captions()
    main(do_job, when_locked=log_library_errors)
