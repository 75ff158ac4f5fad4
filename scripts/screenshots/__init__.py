"""The recordings, the camera and the views of `make screens`."""
