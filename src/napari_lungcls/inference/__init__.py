"""Painting: maps of the classes over planes and stacks."""
