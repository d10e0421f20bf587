"""Models over HTTP: points classified at once, maps painted as jobs."""
