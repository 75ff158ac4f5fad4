"""What a clip is: the request, the profile, the facts of its recording and the plan. Pure; no I/O."""
