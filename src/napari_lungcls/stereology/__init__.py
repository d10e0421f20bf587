"""Design-based stereology: drawing points to be judged, and estimates from counts."""
