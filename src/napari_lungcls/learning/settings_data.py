"""Settings: how tiles are changed in training, how points are split, how answers are chosen."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, field_validator

from napari_lungcls.learning.form_hints import ANSWER, AUGMENTATION, SPLIT, setting


class AugmentationSettings(BaseModel):
    """What training does to tiles; a strength of 0 switches a change off."""

    rotation: Literal["any", "right", "none"] = setting(
        "right", "Turns", "turns of the tiles; right angles keep pixels as they are", AUGMENTATION
    )
    flip: bool = setting(True, "Flips", "flip tiles", AUGMENTATION)
    scale: float = setting(
        0.0,
        "Scale changes",
        "tiles are enlarged or shrunk by up to this share",
        AUGMENTATION,
        ge=0,
        le=0.5,
    )
    elastic: float = setting(
        0.0,
        "Elastic shifts",
        "pixels by which tissue is bent at most",
        AUGMENTATION,
        unit="px",
        ge=0,
        le=8,
    )
    brightness: float = setting(
        0.0,
        "Brightness changes",
        "strength of shifts that all channels share",
        AUGMENTATION,
        ge=0,
        le=1,
    )
    contrast: float = setting(
        0.0,
        "Contrast changes",
        "strength of stretches that all channels share",
        AUGMENTATION,
        ge=0,
        le=1,
    )
    colour: float = setting(
        0.05,
        "Colour changes",
        "strength of brightness and contrast changes of each channel",
        AUGMENTATION,
        ge=0,
        le=1,
    )
    stain: float = setting(
        0.0,
        "Stain changes",
        "strength of changes of haematoxylin and eosin, for RGB",
        AUGMENTATION,
        ge=0,
        le=1,
    )
    blur: float = setting(
        0.0,
        "Blur",
        "largest standard deviation of a blur",
        AUGMENTATION,
        unit="px",
        ge=0,
        le=4,
    )
    noise: float = setting(
        0.0, "Noise", "largest noise, in units of the image's spread", AUGMENTATION, ge=0, le=1
    )


class SplitSettings(BaseModel):
    """Which points train, and which only judge."""

    val_fraction: float = setting(
        0.2,
        "Validation share",
        "share of the points kept for validation; 0 trains on all",
        SPLIT,
        in_sight=True,
        ge=0,
        lt=1,
    )
    test_fraction: float = setting(
        0.0,
        "Test share",
        "share of the points that is looked at only once, after the run",
        SPLIT,
        ge=0,
        lt=1,
    )
    split_by: Literal["auto", "group", "image", "blocks"] = setting(
        "auto",
        "Split by",
        "what is kept together: groups (animals, slides) where points name them, else images, "
        "else blocks of an image",
        SPLIT,
    )
    folds: int = setting(
        1, "Folds", "rounds of cross-validation; 1 is one split", SPLIT, ge=1, le=20
    )
    final: Literal["finish", "anew", "none"] = setting(
        "finish",
        "After validation",
        "after the split has given its figures: go on for a while with every point, train anew "
        "on every point, or keep the network of the split",
        SPLIT,
        in_sight=True,
        words={
            "finish": "keep training on all points",
            "anew": "train anew on all points",
            "none": "keep the network",
        },
    )

    use_audit: bool = setting(
        False,
        "Use audit points",
        "learn from points that a design drew for an audit; they can then audit no map of this "
        "model",
        SPLIT,
    )

    @field_validator("final", mode="before")
    @classmethod
    def _as_a_switch(cls, value: Any) -> Any:
        """Accept the switch that this was in models of earlier versions."""
        return {True: "anew", False: "none"}[value] if isinstance(value, bool) else value


class AnswerSettings(BaseModel):
    """How probabilities become an answer where there are two classes."""

    aim: Literal["most-likely", "balanced", "recall"] = setting(
        "most-likely",
        "Aim",
        "of two classes, answer the likelier one, or choose a threshold on the validation "
        "points: for balanced accuracy, or to reach a recall of the second class",
        ANSWER,
    )
    recall: float = setting(
        0.95, "Recall to reach", "share of the second class to find with aim 'recall'", ANSWER,
        gt=0, le=1,
    )  # fmt: skip
