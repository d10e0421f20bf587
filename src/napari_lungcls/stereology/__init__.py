"""Stereology: fractions, surfaces and volumes of lungs, with their errors."""
