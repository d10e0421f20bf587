"""The network: its specification, its parameters, its file, its engines."""
