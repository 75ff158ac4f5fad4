"""Recordings of many files: playlists and pieces. Pure."""
