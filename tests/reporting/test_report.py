"""Reports on disk: the page, the files beside it, and what happens when they cannot be written."""

import base64
import csv
import io
import re
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from napari_lungcls.annotation.schemes import ClassScheme, ClassSpec
from napari_lungcls.errors import InputError
from napari_lungcls.evaluation.intervals import wilson
from napari_lungcls.evaluation.metrics import Metrics, score
from napari_lungcls.learning.progress import EpochRecord
from napari_lungcls.reporting import Report, ReportPicture, check_report_folder, write_report
from napari_lungcls.reporting.report import PagePicture, ReportContent, html_page

LUNG = ClassScheme.preset("lung")
METRICS = score([0, 0, 1, 2, 2], np.eye(3)[[0, 1, 1, 2, 2]], LUNG.names)
HISTORY = [
    EpochRecord(1, 1e-3, 0.9, 0.6, 0.8, 0.7, 2.5),
    EpochRecord(2, 5e-4, 0.5, 0.8, None, None, 2.0),
]
FIGURES = {"confusion.svg", "confusion.png", "learning_curves.svg", "learning_curves.png"}
TABLES = {"confusion.csv", "per_class.csv", "history.csv"}


def picture(name: str = "image", shape: tuple[int, int] = (30, 40)) -> ReportPicture:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    return ReportPicture(name, f"caption of {name}", pixels)


def rows(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))


class Reader(HTMLParser):
    """Collect texts and elements of a page; complain about tags that do not match."""

    VOID = frozenset({"meta", "img", "br", "link"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    report = Report(
        "Run 1",
        {"Model": "lung.safetensors"},
        METRICS,
        HISTORY,
        [picture("image", (900, 1700)), picture("truth"), picture("map of <all>")],
        ["Mind the gap."],
        LUNG,
    )
    return write_report(tmp_path_factory.mktemp("reports") / "deep" / "report", report)


def test_everything_is_written(full: Path) -> None:
    assert full.name == "index.html"
    names = {path.name for path in full.parent.iterdir()}
    pictures = {"picture-1-image.png", "picture-2-truth.png", "picture-3-map-of-all.png"}
    assert names == {"index.html"} | FIGURES | TABLES | pictures


def test_page_is_complete_in_itself_and_fetches_nothing(full: Path) -> None:
    text = full.read_text(encoding="utf-8")
    page = Reader(text)
    assert page.open == []
    assert {name for name, _ in page.elements} & {"script", "link", "iframe", "object"} == set()
    assert all(
        (image["src"] or "").startswith("data:image/png;base64,") for image in page.all("img")
    )
    assert len(page.all("svg")) == 2
    links = {attributes["href"] for attributes in page.all("a")}
    assert links == {path.name for path in full.parent.iterdir()} - {"index.html"}
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert "prefers-color-scheme: dark" in text


def test_page_says_the_figures(full: Path) -> None:
    page = Reader(full.read_text(encoding="utf-8"))
    text = " ".join(page.texts)
    low, high = wilson(0.8, 5)
    assert "Accuracy on 5 points" in text
    assert "0.800" in text
    assert f"95 % interval {low:.3f} to {high:.3f}" in text
    for name, figures in METRICS.per_class.items():
        row = page.texts.index(name, page.texts.index("Precision"))
        found = [t for t in page.texts[row + 1 : row + 10] if t.strip()][:4]
        assert found[:3] == [f"{v:.3f}" for v in (figures.precision, figures.recall, figures.f1)]
        assert found[3] == str(figures.support)
    for expected in ("Run 1", "lung.safetensors", "Mind the gap.", "caption of truth"):
        assert expected in text
    chips = [a["style"] for a in page.all("span") if a.get("class") == "chip"]
    assert chips == [f"background: {color}" for color in (*LUNG.colors, *LUNG.colors)]


def test_page_shows_large_pictures_small_and_links_to_them_whole(full: Path) -> None:
    page = Reader(full.read_text(encoding="utf-8"))
    source = (page.all("img")[0]["src"] or "").partition(",")[2]
    shown = Image.open(io.BytesIO(base64.b64decode(source)))
    assert shown.size == (567, 300)
    with Image.open(full.parent / "picture-1-image.png") as whole:
        assert whole.size == (1700, 900)


def test_tables(full: Path) -> None:
    assert rows(full.parent / "confusion.csv") == [
        ["true class", "alveoli", "septa", "duct"],
        ["alveoli", "1", "1", "0"],
        ["septa", "0", "1", "0"],
        ["duct", "0", "0", "2"],
    ]
    header, *body = rows(full.parent / "per_class.csv")
    assert header == [
        "class", "precision", "recall", "f1", "support", "auc", "average_precision",
    ]  # fmt: skip
    assert body[0] == [
        "alveoli",
        "1.0",
        "0.5",
        str(METRICS.per_class["alveoli"].f1),
        "2",
        str(METRICS.per_class["alveoli"].auc),
        str(METRICS.per_class["alveoli"].average_precision),
    ]
    assert rows(full.parent / "history.csv") == [
        [field.name for field in fields(EpochRecord)],
        ["1", "0.001", "0.9", "0.6", "0.8", "0.7", "2.5"],
        ["2", "0.0005", "0.5", "0.8", "", "", "2.0"],
    ]


def test_an_empty_report_says_what_is_missing(tmp_path: Path) -> None:
    index = write_report(tmp_path, Report("Nothing", history=[]))
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    page = Reader(index.read_text(encoding="utf-8"))
    assert "Not measured" in " ".join(page.texts)
    assert [name for name, _ in page.elements if name in {"svg", "dl", "img", "table"}] == []


def test_one_class_has_no_auc(tmp_path: Path) -> None:
    single = score([0], [[0.9, 0.1]], ["a", "b"])
    text = write_report(tmp_path, Report("One", metrics=single)).read_text(encoding="utf-8")
    assert "Accuracy on 1 point<" in text
    assert "needs two classes" in text


def test_newer_report_replaces_the_older_one(tmp_path: Path) -> None:
    write_report(tmp_path, Report("Old", metrics=METRICS, history=HISTORY))
    (tmp_path / "mine.txt").write_text("keep")
    write_report(tmp_path, Report("New", metrics=METRICS))
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "index.html",
        "mine.txt",
        "confusion.csv",
        "per_class.csv",
        "confusion.svg",
        "confusion.png",
    }
    assert "New" in (tmp_path / "index.html").read_text()


def test_pages_and_files_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<h1>My home page</h1>")
    with pytest.raises(InputError, match="not a report; give another folder"):
        write_report(tmp_path, Report("New", metrics=METRICS))
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "history.csv").write_text("mine")
    write_report(tmp_path / "sub", Report("New"))
    assert (tmp_path / "sub" / "history.csv").read_text() == "mine"


@pytest.mark.parametrize("below", ["", "report", "deep/report"])
def test_a_file_is_no_folder(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / below
    with pytest.raises(InputError, match="file is a file; give the name of a folder"):
        check_report_folder(path)
    with pytest.raises(InputError, match="file is a file; give the name of a folder"):
        write_report(path, Report("x"))


def test_check_makes_nothing(tmp_path: Path) -> None:
    assert check_report_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert list(tmp_path.iterdir()) == []


def test_failure_leaves_no_page(tmp_path: Path) -> None:
    (tmp_path / "per_class.csv").mkdir()
    with pytest.raises(InputError, match=r"per_class\.csv is a folder"):
        write_report(tmp_path, Report("x", metrics=METRICS))
    assert not (tmp_path / "index.html").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 4), np.uint8),
        np.zeros((3, 4, 3)),
        np.zeros((3, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_picture(array: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="a picture is"):
        ReportPicture("x", "", array)


def test_pictures_of_the_same_name_have_files_of_their_own(tmp_path: Path) -> None:
    write_report(tmp_path, Report("x", pictures=[picture("肺"), picture("肺"), picture("../a")]))
    names = sorted(path.name for path in tmp_path.glob("*.png"))
    assert names == ["picture-1.png", "picture-2.png", "picture-3-a.png"]


written = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).map(
    lambda text: f"<i>&{text}\"'"
)


@given(title=written, fact=written, value=written, note=written, name=written)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_text_can_become_markup(title: str, fact: str, value: str, note: str, name: str) -> None:
    metrics = Metrics.model_validate(
        {**METRICS.model_dump(), "per_class": {name: METRICS.per_class["duct"]}}
    )
    shown = PagePicture(name, note, "data:image/png;base64,", "p.png")
    scheme = ClassScheme.model_construct(
        classes=(ClassSpec.model_construct(name=name, color="#010203"),)
    )
    report = Report(title, {fact: value}, metrics, notes=[note], scheme=scheme)
    content = ReportContent({name: b""}, {"confusion": Markup()}, [shown])
    page = Reader(html_page(report, content))
    assert page.open == []
    assert "i" not in {tag for tag, _ in page.elements}
    assert {title, fact, value, note, name} <= set(page.texts)
    assert page.all("img")[0]["alt"] == name
