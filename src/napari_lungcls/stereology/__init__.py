"""Stereology: volumes, surfaces and thicknesses from counts on painted maps and at points."""
