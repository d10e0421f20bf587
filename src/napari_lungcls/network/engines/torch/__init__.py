"""The engine that computes with PyTorch."""
