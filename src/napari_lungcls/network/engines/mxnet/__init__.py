"""The engine that computes with MXNet."""
