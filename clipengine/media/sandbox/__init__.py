"""The cell that an encoder child works in: what it can no longer do, whatever the recording makes its decoder do.

Linux only, through ctypes, without a library of its own. Nothing here imports a media library.
"""
