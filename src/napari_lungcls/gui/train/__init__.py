"""The window that trains a network on the points of one or several layers."""
