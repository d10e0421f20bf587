"""Points as other programs keep them: one module for each, and the table of all of them."""
