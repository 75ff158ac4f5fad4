"""Options of clips: profiles, changes of picture and audio, snap and watermarks. Pure."""
