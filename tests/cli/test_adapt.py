"""`--adapt`, and what is said of an image that does not suit the model."""

from __future__ import annotations

import imageio.v3 as iio
import numpy as np
import pytest

import napari_lungcls as lc


@pytest.fixture(scope="module")
def dim(lab, tmp_path_factory):
    path = tmp_path_factory.mktemp("dim") / "dim.png"
    iio.imwrite(path, (iio.imread(lab.image) * 0.6).astype(np.uint8))
    return path


def test_a_misfit_is_said_and_adapting_is_offered(lab, run_cli, dim, tmp_path):
    fits = run_cli("paint", lab.model, lab.other, "--out", tmp_path / "a.ome.zarr", "--json")
    assert (fits.code, fits.err.count("does not look like")) == (0, 0)
    told = run_cli("paint", lab.model, dim, "--out", tmp_path / "b.ome.zarr", "--json")
    assert told.code == 0
    assert told.err.count("does not look like the images") == 1
    assert "use --adapt if its tissue is the same" in told.err
    points = ("--points", lab.points)
    out = ("--out", tmp_path / "c.csv", "--json")
    assert "does not look like" in run_cli("classify", lab.model, dim, *points, *out).err
    assert "does not look like" in run_cli("evaluate", lab.model, dim, *points, "--json").err


def test_adapting_brings_the_classes_back(lab, run_cli, dim, tmp_path):
    before = lab.model.read_bytes()
    plain, adapted = tmp_path / "plain.csv", tmp_path / "adapted.csv"
    for out, more in ((plain, ()), (adapted, ("--adapt",))):
        done = run_cli("classify", lab.model, dim, "--points", lab.points, "--out", out, *more)
        assert done.code == 0, done.err
    right = {
        out: np.mean(lc.read_points(out).column("predicted") == lc.read_points(out).labels)
        for out in (plain, adapted)
    }
    assert right[adapted] > right[plain]
    assert lab.model.read_bytes() == before
    path = tmp_path / "map.ome.zarr"
    assert run_cli("paint", lab.model, dim, "--out", path, "--adapt").code == 0
    assert lc.read_map(path).header.provenance["adapted"]["image"] == "dim"


def test_a_server_adapts_nothing(lab, dim):
    with pytest.raises(lc.InputError, match=r"at a server is not adapted.*adapt out"):
        super(lc.Model, lc.load(lab.model)).adapted(dim)
