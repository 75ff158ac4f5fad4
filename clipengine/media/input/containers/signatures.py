"""Formats that are not opened, but recognised by their first bytes, so that the error names them."""

from __future__ import annotations

import re

HEAD_BYTES = 1024  # that are looked at

_PLAYLIST = "a playlist, which only names media files"
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (rb"\s*(\xef\xbb\xbf)?#EXTM3U", f"an HLS playlist or M3U list: {_PLAYLIST}"),
    (rb"ffconcat version", f"a concat script: {_PLAYLIST}"),
    (rb"\s*<\?xml.{0,900}<MPD\b|\s*<MPD\b", f"a DASH manifest: {_PLAYLIST}"),
    (rb"v=0\r?\n", "a session description (SDP), which only names streams"),
    (rb"\.RMF|\.ra\xfd", "RealMedia"),
    (rb"[FCZ]WS[\x01-\x30]", "a Flash movie (SWF)"),
    (rb"nut/multimedia container", "NUT"),
    (rb"\xb7\xd8\x00\x20\x37\x49\xda\x11", "a Windows TV recording (WTV)"),
    (rb"AV[\x01\x02].\x55", "PVA of a TV card"),
    (rb"\x00\x00\x01\x0f", "a VC-1 stream without a container"),
    (rb".{3}\xc5\x04\x00\x00\x00.{12}\x0c\x00\x00\x00", "a VC-1 test stream (RCV)"),
    (rb"FILM\x00", "Sega FILM"),
    (rb"RIFF....XWMA", "Microsoft xWMA"),
    (rb"\.snd", "Sun audio (AU)"),
    (rb"\x1f\x07\x00[\x3f\xbf]", "a DV stream without a container"),
    (rb"YUV4MPEG2 ", "YUV4MPEG2"),
    (rb"wvpk", "WavPack"),
    (rb"MAC ", "Monkey's Audio"),
    (rb"TTA1", "True Audio"),
    (rb"MPCK|MP\+", "Musepack"),
    (rb"DSD |FRM8", "DSD audio"),
    (rb"MThd", "MIDI"),
    (rb"BIK[a-k]|KB2[a-k]", "Bink"),
    (rb"\x89PNG\r\n\x1a\n", "a PNG image"),
    (rb"\xff\xd8\xff[\xc0-\xfe]", "a JPEG image"),
    (rb"RIFF....WEBP", "a WebP image"),
    (rb"II\*\x00|MM\x00\*", "a TIFF image"),
    (rb"\x00\x00\x00\x0cjP  \r\n\x87\n", "a JPEG 2000 image"),
)


def known_format(head: bytes) -> str | None:
    """Return the name of the format that a file with this head has, or None if it is not a known one."""
    for pattern, name in _SIGNATURES:
        if re.match(pattern, head[:HEAD_BYTES], re.DOTALL):
            return name
    return None
