"""Small helpers that know nothing of images, points or models."""
