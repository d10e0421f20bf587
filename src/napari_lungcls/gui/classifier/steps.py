"""The four steps: what each still needs, which are done, and what to do next. No Qt."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from napari_lungcls.utils.humanize import count

FEW = 10
"""Points of a class below which a first model is not worth training."""

LISTED = 4
"""Most classes that one line names."""

SINGULAR = {
    "alveoli": "an alveolus",
    "septa": "a septum",
    "duct": "a duct",
    "non-parenchyma": "an airway or a vessel",
}
"""How one says where to click first."""


class DockStep(Enum):
    """A step, by the name that its button shows."""

    LABEL = "Label"
    TRAIN = "Train"
    PAINT = "Paint"
    MEASURE = "Measure"


ORDER = tuple(DockStep)


@dataclass(frozen=True)
class Facts:
    """What there is.

    Attributes
    ----------
    image
        Whether an image is open.
    counts
        Labelled points of the image by class, in the order of the scheme.
    key
        Key of the first class; empty if it has none.
    model
        Name of the current model; empty if there is none.
    right
        How many held-out points the model got right, and of how many; None if unknown.
    learned
        Labelled points that the model was made of; None if unknown, as of a loaded one.
    painted, measured
        Whether there are a map and its measures.
    running
        Steps at work in the background.
    """

    image: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)
    key: str = ""
    model: str = ""
    right: tuple[int, int] | None = None
    learned: int | None = None
    painted: bool = False
    measured: bool = False
    running: frozenset[DockStep] = frozenset()

    @property
    def enough(self) -> bool:
        """Whether every class has points enough for a first model."""
        return bool(self.counts) and min(self.counts.values()) >= FEW

    @property
    def points(self) -> int:
        """Number of labelled points."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class StepState:
    """How a step stands.

    Attributes
    ----------
    done, running
        Whether it has been done, and whether it is at work.
    missing
        What it needs first, in a sentence; empty if it can be used.
    helps
        The step that gives what is missing; None for an image.
    """

    done: bool = False
    running: bool = False
    missing: str = ""
    helps: DockStep | None = None

    @property
    def usable(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


@dataclass(frozen=True)
class Advice:
    """The line that says what to do next.

    Attributes
    ----------
    text
        One or two short sentences.
    actions
        Words to click, and the steps they lead to.
    """

    text: str
    actions: tuple[tuple[str, DockStep], ...] = ()


def state(step: DockStep, facts: Facts) -> StepState:
    """Say how a step stands."""
    done = {
        DockStep.LABEL: facts.enough,
        DockStep.TRAIN: bool(facts.model),
        DockStep.PAINT: facts.painted,
        DockStep.MEASURE: facts.measured,
    }[step]
    missing, helps = _missing(step, facts)
    return StepState(done, step in facts.running, missing, helps)


def advice(step: DockStep, facts: Facts) -> Advice:
    """Say what to do next to somebody who looks at a step."""
    told = _advice(facts)
    return Advice(told.text, tuple(action for action in told.actions if action[1] is not step))


def few_points(counts: Mapping[str, int]) -> str:
    """Say which classes have too few points; empty if none.

    Examples
    --------
    >>> few_points({"alveoli": 22, "septa": 1, "duct": 1})
    'septa and duct have 1 point each; label at least 10 of each class.'
    """
    few = {name: n for name, n in counts.items() if n < FEW}
    if not few:
        return ""
    if not any(counts.values()):
        return f"Label at least {FEW} points of each class."
    if len(few) > LISTED:
        return f"{len(few)} classes have fewer than {FEW} points; label at least {FEW} of each."
    names, numbers = list(few), set(few.values())
    if len(numbers) > 1:
        said = f"Only {_listed([f'{n} {name}' if n else f'no {name}' for name, n in few.items()])}"
    else:
        have = "has" if len(few) == 1 else "have"
        [n] = numbers
        said = f"{_listed(names)} {have} {count(n, 'point') if n else 'no points'}"
        said += " each" if len(few) > 1 and n else ""
    return f"{said}; label at least {FEW} of each class."


def _missing(step: DockStep, facts: Facts) -> tuple[str, DockStep | None]:
    """Say what a step needs first, and which step gives it."""
    if step is DockStep.MEASURE:
        needed = "" if facts.painted else "Paint a map first, or add one from a file below."
        return needed, DockStep.PAINT if needed else None
    if not facts.image:
        return "Open an image first.", None
    if step is DockStep.TRAIN and not facts.enough:
        return few_points(facts.counts) or "Label some points first.", DockStep.LABEL
    if step is DockStep.PAINT and not facts.model:
        return "Train or load a model first.", DockStep.TRAIN
    return "", None


def _advice(facts: Facts) -> Advice:
    label, train, paint, measure = ORDER
    if busy := [step for step in ORDER if step in facts.running]:
        at_work = {
            train: "Training. You can go on labelling.",
            paint: "Painting. What is in view comes first.",
            measure: "Measuring.",
        }
        return Advice(at_work[busy[-1]], ((f"Show {busy[-1].value}", busy[-1]),))
    if not facts.image:
        return Advice("Open an image to begin, or try the sample.")
    if facts.model:
        return _after_training(facts)
    if not facts.points:
        return Advice(_first_click(facts), (("Label", label),))
    numbers = "/".join(map(str, facts.counts.values()))
    if len(facts.counts) > 2 * LISTED:
        numbers = str(facts.points)
    if facts.enough:
        return Advice(f"{numbers} points. Enough for a first model.", (("Train", train),))
    return Advice(f"{numbers} points. {FEW} of each make a first model.", (("Label", label),))


def _after_training(facts: Facts) -> Advice:
    label, train, paint, measure = ORDER
    more = 0 if facts.learned is None else facts.points - facts.learned
    if more > 0:
        text = f"{count(more, 'point')} more than the model has seen."
        return Advice(text, (("Train again", train),))
    if facts.painted:
        done = "Measured." if facts.measured else "Painted."
        actions = ((("Label more", label),) if facts.measured else
                   (("Label more", label), ("Measure", measure)))  # fmt: skip
        return Advice(f"{done} Wrong somewhere?", actions)
    said = f"Model {facts.model} is ready."
    if facts.right is not None:
        said = f"Trained: {facts.right[0]} of {facts.right[1]} right."
    return Advice(said, (("Paint a map", paint),))


def _first_click(facts: Facts) -> str:
    name = next(iter(facts.counts), "")
    key = f"Press {facts.key}" if facts.key else f"Choose {name}"
    return f"{key} and click {f'into {SINGULAR[name]}' if name in SINGULAR else f'on {name}'}."


def _listed(names: list[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
