"""Helpers that are independent of images, points and models."""
