"""Synthetic recordings whose frames show their number and whose sound tells its time, and what reads them back.

`catalogue` has them all, `reader` says what a file holds, `judge` whether a clip is exact, `selfcheck` whether a film
is what it says.
"""
