"""What a window does, as a line for the shell and as lines of Python.

Each window notes what it would start with, and gives a function that opens files and may run in a
thread.
"""
