"""The HTTP API: one file per resource. It never imports av."""
