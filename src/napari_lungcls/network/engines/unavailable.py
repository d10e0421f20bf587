"""The error of an engine that cannot run here."""

from __future__ import annotations

from napari_lungcls.errors import InputError


class EngineUnavailableError(InputError):
    """An engine's library is missing or cannot run here; says why, and what to do."""
