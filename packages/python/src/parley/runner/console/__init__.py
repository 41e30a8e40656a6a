"""A call at a terminal."""
