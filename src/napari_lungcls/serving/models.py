"""The models of a server by name, with what is known about each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_lungcls.errors import InputError
from napari_lungcls.evaluation.model_card import ModelCard
from napari_lungcls.model import Model, load
from napari_lungcls.serving.errors import Refusal


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A model that clients may use.

    Attributes
    ----------
    name
        Of the file, without its suffix.
    model
        The model.
    sha256
        Checksum of the file.
    """

    name: str
    model: Model
    sha256: str

    def card(self) -> dict[str, Any]:
        """Say what is known: the model card, and the document of the model file."""
        document = self.model.document.model_dump(mode="json", exclude={"history"})
        found = ModelCard(self.model.document, self.name, self.sha256)
        return {"name": self.name, "sha256": self.sha256, "card": found.to_json(), **document}

    def summary(self) -> dict[str, Any]:
        """Say what a client needs to use it."""
        document = self.model.document
        found = ModelCard(document, self.name, self.sha256)
        return {
            "name": self.name,
            "classes": [
                {"name": name, "color": color}
                for name, color in zip(document.scheme.names, document.scheme.colors, strict=True)
            ],
            "pixel_size": document.pixel_size,
            "rgb": document.rgb,
            "zooms": list(document.network.zooms),
            "created": document.created,
            "sha256": self.sha256,
            "notes": document.notes.model_dump(),
            "accuracy": {part: found.figures(part)["accuracy"].to_json() for part in found.metrics},
        }


class ServedModels:
    """Models by name.

    Parameters
    ----------
    models
        One at least, with different names.
    """

    def __init__(self, models: Iterable[ServedModel]) -> None:
        self._models = {each.name: each for each in models}

    def __iter__(self) -> Any:
        """Give all of them."""
        return iter(self._models.values())

    def find(self, name: str | None, sha256: str | None = None) -> ServedModel:
        """Find a model; without a name the only one.

        Raises
        ------
        Refusal
            If there is none of the name, or several and no name, or it has another checksum.
        """
        found = self._find(name)
        if sha256 is not None and sha256.lower() != found.sha256:
            raise Refusal(
                409,
                f"the model {found.name!r} of this server is another file than the one meant",
                "ask for its checksum anew, or serve the file that is meant",
            )
        return found

    def _find(self, name: str | None) -> ServedModel:
        known = ", ".join(self._models)
        if name is None:
            if len(self._models) > 1:
                raise Refusal(400, "this server has several models", f"name one of {known}")
            return next(iter(self))  # type: ignore[no-any-return]
        if name not in self._models:
            raise Refusal(404, f"there is no model {name!r}", f"choose from {known}")
        return self._models[name]


def read_models(
    paths: Iterable[Path], *, engine: str | None = None, device: str = "auto"
) -> ServedModels:
    """Load models, and build their networks.

    Raises
    ------
    InputError
        If one cannot be read or its card is damaged, or two have the same name.
    """
    found: dict[str, ServedModel] = {}
    for path in paths:
        if path.stem in found:
            raise InputError(f"{path}: another model has the name {path.stem!r} too; rename one")
        model = load(path, engine=engine, device=device)
        # Build the network now: the first request shall not wait for it.
        _ = model.engine
        checksum = hashlib.sha256(path.read_bytes()).hexdigest()
        found[path.stem] = ServedModel(path.stem, model, checksum)
        # What is damaged is refused now, not when a client asks.
        found[path.stem].summary()
    return ServedModels(found.values())
