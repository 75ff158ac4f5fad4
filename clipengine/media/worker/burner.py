"""Encoder child that also draws captions: it loads Pillow and FriBidi before its sandbox is locked.

Started only for clips with burnt-in subtitles, as `python -I -m clipengine.media.worker.burner …`; see
`media.worker.process`.
"""

from __future__ import annotations

import clipengine.clips.texts.caption_pages
import clipengine.media.video.caption_painter  # noqa: F401
from clipengine.media.worker.maker import do_job
from clipengine.media.worker.process import main

if __name__ == "__main__":
    main(do_job)
