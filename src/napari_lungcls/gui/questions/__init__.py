"""Question after question about places of an image, answered by keys: audits and suggestions."""
