"""Events of other systems about finished recordings: their signatures, their bodies, and the recordings they announce.

Pure, without I/O. Each source has a module with its scheme of verification and its parser.
"""
