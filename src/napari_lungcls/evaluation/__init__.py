"""Predictions at labelled points, and agreement between observers and models."""
