"""The worker process that does one media job in the sandbox, and its IPC."""
