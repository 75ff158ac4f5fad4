"""Times of packets and frames on the timeline of a recording."""
