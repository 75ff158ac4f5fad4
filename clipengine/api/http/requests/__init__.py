"""Request types: the bodies and the queries of every operation, with their limits, by resource."""
