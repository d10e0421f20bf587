"""A server in the place of this computer: the same answers, computed elsewhere."""
