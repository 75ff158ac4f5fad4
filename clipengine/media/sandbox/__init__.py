"""Sandbox of child processes: rlimits, Landlock and seccomp, through ctypes. Linux only; imports no media library."""
