"""Images: planes of a stack, levels, windows, and where things lie."""
