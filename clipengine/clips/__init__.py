"""The model of a clip: request, profile, facts of its recording and plan. Pure, without I/O."""
