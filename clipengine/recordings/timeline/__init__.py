"""Timeline of a recording: places of its pieces in time, also while it grows, and its clock. Pure."""
