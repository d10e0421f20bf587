"""Colours of the curves of a training, in windows and reports alike."""

TRAINING, VALIDATION = "#2f8fd8", "#e0701a"
"""Blue and orange, told apart by everyone, with contrast on dark and on light ground."""
