"""What a recording of several files is: its playlists and its pieces. Pure."""
