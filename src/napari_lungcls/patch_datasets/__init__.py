"""Patch data sets: labelled pictures of one size, read from files piece by piece."""
