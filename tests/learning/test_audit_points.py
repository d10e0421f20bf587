"""Points that are to audit a map are not what its model learns from."""

from __future__ import annotations

import numpy as np
import pytest

from napari_lungcls.annotation import Points
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.hyperparameter_search.task import Task
from napari_lungcls.images.pairs import Pair
from napari_lungcls.inference.grid import MapGrid
from napari_lungcls.inference.run import map_header
from napari_lungcls.learning.audit_points import without_audit
from napari_lungcls.learning.run import run_training
from napari_lungcls.patch_datasets.export import export_patches
from three_tissues import QUICK, SCHEME, exhausted, same, scene


def mixed(every: int = 3, word: str = "audit") -> Pair:
    """A scene of which some points are of an audit; they have no classes, so none can be used."""
    stack, points = scene()
    audit = np.arange(len(points)) % every == 0
    labels = np.where(audit, "", points.labels)
    source = np.where(audit, word, "")
    return stack, points.with_columns(**{"class": labels, "source": source})


def test_training_leaves_them_out():
    stack, points = mixed()
    rest = points.select(points.column("source") == "")
    wanted = exhausted(run_training([(stack, rest)], QUICK, SCHEME))
    with pytest.warns(
        LungclsWarning, match=r"points: 30 points of an audit .*; use use_audit=True"
    ):
        found = exhausted(run_training([mixed()], QUICK, SCHEME))
    assert same(found, wanted)
    assert found.document.split["train"] == wanted.document.split["train"]


@pytest.mark.parametrize("word", ["audit", " Audit "])
def test_they_are_told_by_their_source(word):
    with pytest.warns(LungclsWarning, match="30 points of an audit are left out"):
        ((_, kept),) = without_audit([mixed(word=word)], use_audit=False)
    assert len(kept) == 60


def test_an_image_with_nothing_else_is_left_out():
    with pytest.warns(LungclsWarning, match="90 points of an audit"):
        kept = without_audit([mixed(every=1), scene(1, source="b.tif")], use_audit=False)
    assert [stack.source for stack, _ in kept] == ["b.tif"]


def test_saying_it_aloud_uses_them():
    pair = scene()[0], scene()[1].with_columns(source="audit")
    assert without_audit([pair], use_audit=True) == [pair]
    with pytest.raises(
        InputError, match=r"all points are of an audit.*; label other points or use"
    ):
        next(run_training([pair], QUICK, SCHEME))
    progress = next(run_training([pair], QUICK.model_copy(update={"use_audit": True}), SCHEME))
    assert progress.phase == "reading"


def test_searches_and_exports_leave_them_out_too(tmp_path):
    with pytest.warns(LungclsWarning, match="30 points of an audit"):
        task = Task.prepare([mixed()], SCHEME, QUICK, "accuracy")
    assert len(task.layout) == 60
    with pytest.warns(LungclsWarning, match="nothing may learn from them$"):
        found = export_patches(*mixed(), tmp_path / "p.npz", kind="npz", size=32)
    assert found.n == 60


def test_other_points_pass_in_silence():
    pair = scene()
    assert without_audit([pair], use_audit=False) == [pair]
    assert not Points.build([[1, 2]], source="model").is_audit.any()


def test_a_map_says_which_audits_its_model_has_learned_from():
    stack, points = scene()
    points = points.with_columns(source="audit", design_id="g1-abc")
    trained = exhausted(
        run_training([(stack, points)], QUICK.model_copy(update={"use_audit": True}), SCHEME)
    )
    assert trained.document.split["audit_designs"] == ["g1-abc"]
    header = map_header(MapGrid.over(stack, 8), trained.document, probabilities=False)
    assert header.provenance["trained_on_designs"] == ["g1-abc"]
