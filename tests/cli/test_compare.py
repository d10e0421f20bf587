"""`lungcls compare`: two model files at points that neither has learned from."""

import shutil


def test_a_model_and_its_copy_differ_nowhere(lab, run_cli, tmp_path):
    copy = tmp_path / "copy.safetensors"
    shutil.copy(lab.model, copy)
    found = run_cli(
        "compare", lab.model, copy, lab.image, lab.other, "--points", lab.both, "--json"
    ).json
    assert found["only_a"] == found["only_b"] == 0
    assert (found["knows_a"], found["p"]) == (True, 1.0)
    # Of the 40 points of the first image it learned from some; the 20 of the second are new.
    assert found["n"] + found["learned_a"] == 60
    assert found["n"] >= 20
    text = run_cli("compare", lab.model, copy, lab.image, lab.other, "--points", lab.both).out
    assert "They are right and wrong at the same points." in text


def test_without_a_point_that_is_new_to_both_there_is_no_comparison(lab, bench):
    line = bench.complaint("compare", lab.model, lab.other, lab.image, "--points", lab.points)
    assert "other.png" in line
