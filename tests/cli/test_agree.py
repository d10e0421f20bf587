"""`lungcls agree`: observers in files and in columns, with a model, and what goes wrong."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

import napari_lungcls as lc


def relabelled(points, seed, share=0.3):
    """The same places as another observer sees them."""
    rng = np.random.default_rng(seed)
    names = np.unique(points.labels)
    doubt = rng.random(len(points)) < share
    return points.with_columns(
        **{"class": np.where(doubt, rng.choice(names, len(points)), points.labels)}
    )


@pytest.fixture(scope="module")
def observers(lab, tmp_path_factory):
    """Three files: the same places, moved a little and mixed, the second with ten fewer."""
    folder = tmp_path_factory.mktemp("observers")
    first = lc.read_points(lab.points)
    for name, seed in (("ann", 0), ("bob", 1), ("cyd", 2)):
        points = relabelled(first, seed)
        rng = np.random.default_rng(seed)
        points.coordinates[:] += rng.uniform(-0.3, 0.3, points.coordinates.shape)
        keep = rng.permutation(60)[: 50 if name == "bob" else 60]
        lc.write_points(folder / f"{name}.csv", points.select(keep))
    return [folder / f"{name}.csv" for name in ("ann", "bob", "cyd")]


def test_two_observers_agree_as_scikit_learn_says(lab, run_cli, observers):
    found = run_cli("agree", *observers[:2], "--json").json
    assert list(found) == ["classes", "tolerance", "pairs", "fleiss", "model", "fractions"]
    (pair,) = found["pairs"]
    assert (pair["a"], pair["b"], pair["n"]) == ("ann", "bob", 50)
    assert (pair["unmatched_a"], pair["unmatched_b"]) == (10, 0)
    assert found["fleiss"] is None
    assert found["classes"] == ["alveoli", "septa", "duct"]
    first = lc.read_points(lab.points)
    kept = np.random.default_rng(1)
    kept.uniform(-0.3, 0.3, first.coordinates.shape)
    rows = kept.permutation(60)[:50]
    labels = [relabelled(first, seed).labels[rows].tolist() for seed in (0, 1)]
    assert pair["kappa"]["value"] == pytest.approx(cohen_kappa_score(*labels))
    low, high = pair["kappa"]["interval"]
    assert low < pair["kappa"]["value"] < high
    assert np.sum(pair["confusion"]) == 50


def test_files_and_columns_are_the_same_observers(run_cli, observers, tmp_path):
    apart = run_cli("agree", *observers, "--json").json
    assert [(p["a"], p["b"]) for p in apart["pairs"]] == [
        ("ann", "bob"), ("ann", "cyd"), ("bob", "cyd"),
    ]  # fmt: skip
    assert apart["fleiss"]["observers"] == ["ann", "bob", "cyd"]
    assert apart["fleiss"]["n"] == 50
    lines = ["axis-0,axis-1,class,observer"]
    for path in observers:
        points = lc.read_points(path)
        rows = zip(points.coordinates.tolist(), points.labels, strict=True)
        lines += [f"{y},{x},{label},{path.stem}" for (y, x), label in rows]
    (tmp_path / "all.csv").write_text("\n".join(lines))
    assert run_cli("agree", tmp_path / "all.csv", "--json").json == apart
    text = run_cli("agree", *observers)
    assert "3 observers at 50 points: Fleiss' kappa " in text.out
    assert "Neighbouring points are not independent" in text.out


def test_a_model_is_compared_at_the_points_of_each(lab, run_cli, observers, tmp_path):
    found = run_cli("agree", *observers[:2], "--model", lab.model, lab.image, "--json").json
    for path, pair in zip(observers, found["model"], strict=False):
        assert (pair["a"], pair["b"]) == (path.stem, "model")
        metrics = lc.load(lab.model).evaluate(lab.image, path)
        assert pair["n"] == metrics.n
        assert pair["agreement"]["value"] == pytest.approx(metrics.accuracy)
        assert pair["confusion"] == metrics.confusion
    alone = run_cli("agree", lab.both, "--model", lab.model, lab.image, "--json").json
    assert alone["pairs"] == []
    assert (alone["model"][0]["n"], alone["model"][0]["unmatched_a"]) == (40, 20)


@pytest.mark.parametrize(
    ("table", "more", "words"),
    [
        ("axis-0,axis-1,class\n900,900,duct\n", [], "share no place.*larger tolerance"),
        ("axis-0,axis-1\n9,9\n", [], "no column 'class'"),
        ("axis-0,axis-1,class\n9,9,\n", [], "row 2: the class is empty"),
        ("axis-0,axis-1,axis-2,class\n0,9,9,duct\n", [], "3 axes|2 axes"),
        ("axis-0,axis-1,class,observer\n9,9,duct,Ann\n9,9,duct,\n", [], "row 3: the observer"),
        ("axis-0,axis-1,class,image\n9,9,duct,x\n9,9,duct,y\n", [], "add the column 'image'"),
        ("axis-0,axis-1,class\n9,9,duct\n", ["--tolerance", "-1"], "--tolerance -1"),
        ("axis-0,axis-1,class\n9,9,duct\n", ["--seed", "-1"], "--seed -1"),
    ],
)
def test_what_cannot_be_compared(bench, observers, table, more, words):
    found = bench.complaint("agree", observers[0], bench.file("p.csv", table), *more)

    assert re.search(words, found), found


def test_one_observer_agrees_with_nobody(bench, observers):
    assert "by one observer; give a second" in bench.complaint("agree", observers[0])
    again = bench.complaint("agree", observers[0], observers[0])
    assert "is given twice" in again


def test_observers_agree_on_the_shares_of_animals(run_cli, observers, tmp_path):
    """Of three animals; the column that names them is missing in the file of another."""
    files = []
    for file in observers[:2]:
        points = lc.read_points(file)
        animal = [f"m{int(y) % 3}" for y in points.coordinates[:, 0]]
        files.append(lc.write_points(tmp_path / file.name, points.with_columns(group=animal)))
    found = run_cli("agree", *files, "--json").json["fractions"]
    assert list(found) == ["alveoli", "septa", "duct"]
    (pair,) = found["septa"]["pairs"]
    assert (pair["a"], pair["b"], pair["n"]) == ("ann", "bob", 3)
    assert pair["lower"] <= pair["bias"] <= pair["upper"]
    assert sum(share["pairs"][0]["bias"] for share in found.values()) == pytest.approx(0)
    assert "ICC(2,1)" in run_cli("agree", *files).out
    assert run_cli("agree", files[0], observers[1], "--json").json["fractions"] == {}
