"""Fades of the picture from and to black."""

from __future__ import annotations

from clipengine.clips.options.effects import Effects


def fade_filters(effects: Effects) -> tuple[str, ...]:
    """Return the filters that fade the picture in and out."""
    filters = []
    if effects.fade_in:
        filters.append(f"fade=t=in:st=0:d={float(effects.fade_in):.6f}")
    if effects.fade_out:
        start = effects.length - effects.fade_out
        filters.append(f"fade=t=out:st={float(start):.6f}:d={float(effects.fade_out):.6f}")
    return tuple(filters)
