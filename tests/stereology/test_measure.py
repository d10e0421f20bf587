"""Measuring: known lungs come out right, and what does not belong together gets its line."""

import csv
import io
import json
import re

import numpy as np
import pytest

import napari_lungcls as lc
from measured_lungs import SCHEME, answered, as_map, erring, truth_of
from napari_lungcls.errors import InputError
from napari_lungcls.reporting.measures import file_name, write_measures
from napari_lungcls.stereology.measure import measure
from napari_lungcls.stereology.section_info import section_name

NAMES = ("one.png", "two.png", "three.png")


@pytest.fixture(scope="module")
def truths():
    return {name: truth_of(seed) for seed, name in enumerate(NAMES, 1)}


@pytest.fixture(scope="module")
def maps(truths):
    return [as_map(erring(truth, i), name) for i, (name, truth) in enumerate(truths.items())]


@pytest.fixture(scope="module")
def audit(truths):
    return answered(truths, 20, lines=25, seed=3)


@pytest.fixture(scope="module")
def measured(maps, audit):
    return measure(maps, [audit], [audit])


def share(truths, code):
    return float(np.mean([truth == code for truth in truths.values()]))


def test_a_map_that_loses_a_fifth_of_the_septa_is_corrected(measured, truths):
    true = share(truths, 2)
    found = measured.measures.parameters["V_V(sep/par)"]
    assert found["raw"].estimate == pytest.approx(0.8 * true, abs=0.005)
    assert found["difference"].estimate == pytest.approx(true, abs=0.012)
    low, high = found["difference"].ci
    assert low <= true <= high
    assert found["difference"].se < found["manual"].se or found["difference"].se < 0.01


def test_fractions_add_up(measured):
    for method in ("raw", "manual", "difference"):
        parameters = measured.measures.parameters
        found = [v[method].estimate for symbol, v in parameters.items() if symbol.startswith("V_V")]
        assert len(found) == 3
        assert sum(found) == pytest.approx(1)


def test_surfaces_are_corrected_by_lines(measured, truths):
    right = measure([as_map(truth, name) for name, truth in truths.items()])
    true = right.measures.parameters
    found = measured.measures.parameters
    raw = found["S_V(par)"]["raw"].estimate / true["S_V(par)"]["raw"].estimate
    assert abs(raw - 1) > 0.05
    for symbol, unit in (("S_V(par)", "cm⁻¹"), ("L_m", "µm"), ("τ(sep)", "µm")):
        exact = true[symbol]["raw"].estimate
        assert found[symbol]["difference"].unit == unit
        assert found[symbol]["difference"].estimate == pytest.approx(exact, rel=0.06)
        assert found[symbol]["manual"].estimate == pytest.approx(exact, rel=0.12)


def test_probabilities_serve_the_tuned_estimator(maps, truths, audit):
    sure = [
        as_map(np.asarray(m.classes), name, probabilities=True)
        for m, name in zip(maps, truths, strict=True)
    ]
    found = measure(sure, [audit]).measures.parameters["V_V(sep/par)"]
    assert found["tuned"].estimate == pytest.approx(share(truths, 2), abs=0.012)
    assert found["tuned"].se <= found["manual"].se


def test_planes_of_a_stack_are_sections(truths):
    stack = np.stack([*truths.values()])
    found = measure([as_map(stack, "stack.tif")]).measures
    assert (found.target, found.clusters) == ("sections", 3)
    assert [unit.section for unit in found.units] == [
        section_name("stack.tif", (i,)) for i in range(3)
    ]


def test_without_an_audit_raw_shares_are_called_raw(maps):
    found = measure(maps).measures
    assert set(found.parameters["V_V(sep/par)"]) == {"raw"}
    assert found.parameters["V_V(sep/par)"]["raw"].ci is None
    assert any("no audit" in warning for warning in found.warnings)
    assert (0.05, 0.01, 500) in found.planning


def test_cells_may_be_counted_at_points_as_on_paper(maps, truths):
    every, some = (measure(maps, spacing=s, seed=1).measures for s in (None, 7))
    one, two = (m.parameters["V_V(sep/par)"]["raw"].estimate for m in (every, some))
    assert one != two
    assert one == pytest.approx(two, abs=0.01)
    assert some == measure(maps, spacing=7, seed=1).measures
    assert "7 pixels apart" in some.facts["Maps counted"]


def test_a_map_without_pixel_size_has_fractions_only(truths):
    bare = as_map(truths["one.png"], "one.png", unit="pixel", pixel_size=None)
    found = measure([bare]).measures
    assert all(symbol.startswith("V_V") for symbol in found.parameters)
    assert any("no pixel size" in warning for warning in found.warnings)


def test_a_pixel_size_that_was_given_in_painting_counts(truths):
    said = as_map(truths["one.png"], "one.png", unit="pixel", pixel_size=2.0)
    plain = as_map(truths["one.png"], "one.png")
    one, two = (measure([m]).measures.parameters["L_m"]["raw"].estimate for m in (said, plain))
    assert one == pytest.approx(2 * two)


def test_no_disagreement_is_no_certainty(truths):
    right = as_map(truths["one.png"], "one.png")
    points = answered({"one.png": truths["one.png"]}, 20)
    found = measure([right], [points]).measures.parameters["V_V(sep/par)"]
    low, high = found["difference"].ci
    assert low < found["difference"].estimate < high
    assert (found["poststratified"].se, found["poststratified"].ci) == (None, None)


def test_test_points_of_another_image_are_refused(maps, truths):
    other = answered({"other.png": truths["one.png"]}, 40)
    with pytest.raises(InputError, match=r"lie on other\.png, and no map"):
        measure(maps, [other])


def test_test_points_that_were_trained_on_are_refused(truths, audit):
    design = audit.column("design_id")[0]
    learned = [as_map(t, name, trained_on_designs=[design]) for name, t in truths.items()]
    with pytest.raises(InputError, match="has learned from these test points"):
        measure(learned, [audit])


def test_points_that_no_design_drew_are_refused(maps):
    mine = lc.Points.build([[10, 10], [20, 20]], ["septa", "duct"], image="one.png")
    with pytest.raises(InputError, match="no design drew"):
        measure(maps, [mine])


def test_unanswered_points_are_said(maps, audit):
    labels = np.array(audit.labels)
    labels[::3] = ""
    found = measure(maps, [audit.with_columns(**{"class": labels})]).measures
    assert any("not answered" in warning for warning in found.warnings)
    with pytest.raises(InputError, match="no test point is answered"):
        measure(maps, [audit.with_columns(**{"class": ""})])


def test_a_scheme_without_parenchyma_is_refused():
    scheme = lc.ClassScheme.of_names(["dark", "light"], name="own")
    with pytest.raises(InputError, match="none of the classes dark, light is parenchyma"):
        measure([as_map(np.ones((20, 20), np.uint8), "a.png", scheme)])


def test_an_empty_section_counts_for_nothing(truths):
    maps = [as_map(truths["one.png"], "one.png"), as_map(np.zeros((50, 50), np.uint8), "no.png")]
    found = measure(maps).measures
    alone = measure(maps[:1]).measures
    assert found.parameters["V_V(sep/par)"]["raw"].estimate == pytest.approx(
        alone.parameters["V_V(sep/par)"]["raw"].estimate
    )
    assert any("no parenchyma" in warning for warning in found.warnings)
    with pytest.raises(InputError, match="no cell of the maps is parenchyma"):
        measure(maps[1:])


def test_maps_with_other_classes_are_refused(maps):
    other = as_map(np.ones((9, 9), np.uint8), "b.png", lc.ClassScheme.preset("lung-full"))
    with pytest.raises(InputError, match="different classes"):
        measure([*maps, other])


def test_two_maps_of_one_plane_are_refused(maps):
    with pytest.raises(InputError, match=r"two maps are of one\.png"):
        measure([maps[0], maps[0]])


def test_a_wish_to_end_is_heard(maps):
    assert measure(maps, cancelled=lambda: True) is None


def test_progress_never_runs_backwards(maps, audit):
    seen = []
    measure(maps, [audit], progress=lambda done, total: seen.append(done / total))
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_the_folder_has_a_page_and_tables(measured, tmp_path):
    page = write_measures(tmp_path / "out", measured).read_text()
    assert "V_V(sep/par)" in page
    assert not re.search(r'(src|href)="http', page)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "measures.csv").read_text())))
    by = {(row["section"], row["symbol"], row["method"]): row for row in rows}
    found = by["two.png", "V_V(sep/par)", "difference"]
    unit = next(u for u in measured.measures.units if u.section == "two.png")
    assert float(found["estimate"]) == unit.parameters["V_V(sep/par)"]["difference"].estimate
    assert found["design_id"].startswith("g1-")
    assert float(found["l_per_point_um"]) == pytest.approx(25, rel=0.05)
    assert float(found["a_per_point_um2"]) == 400
    counts = list(csv.DictReader(io.StringIO((tmp_path / "out" / "counts.csv").read_text())))
    assert [row["image"] for row in counts] == list(NAMES)
    assert int(counts[0]["cells septa"]) == int((erring(truth_of(1), 0) == 2).sum())
    prism = (tmp_path / "out" / f"prism_{file_name('V_V(sep/par)')}.csv").read_text().split()
    assert prism[0] == "all"
    assert len(prism) == 4


def test_the_document_is_json(measured):
    document = json.loads(json.dumps(measured.measures.document()))
    assert list(document) == ["target", "clusters", "parameters", "warnings"]
    found = document["parameters"]["V_V(sep/par)"]["difference"]
    assert {"estimate", "unit", "se", "ce", "df", "ci"} <= set(found)


def test_the_schemes_of_before_are_known(truths):
    """Maps painted before classes had phases."""
    bare = lc.ClassScheme.of_names(SCHEME.names, name="lung")
    old = as_map(truths["one.png"], "one.png", bare)
    new = as_map(truths["one.png"], "one.png")
    assert measure([old]).measures.parameters == measure([new]).measures.parameters
