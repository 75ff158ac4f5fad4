"""Synthetic recordings that encode frame number and time in video and audio, and their readers.

`catalogue` has all films, `reader` reads a file back, `judge` tells if a clip is exact, `selfcheck` if a film is as
declared.
"""
