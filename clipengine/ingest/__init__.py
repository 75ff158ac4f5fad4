"""Events of other systems about finished recordings: their signatures, their bodies, and the recordings they announce.

Each source has a module with its scheme of verification and its parser, without I/O. Only `jibri` reads the store.
"""
