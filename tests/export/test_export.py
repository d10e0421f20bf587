"""Models for other programs say what the model says."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import warnings
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from scipy.special import softmax

import napari_lungcls as lc
from known_network import make_document, make_spec, random_engine, random_state
from napari_lungcls.export import export_model
from napari_lungcls.export.networks import DenseNetwork, PatchNetwork
from napari_lungcls.model import Model
from napari_lungcls.network.engines.protocol import HALO


def model_of(**fields):
    spec = make_spec(**{"stages": (-1, 0, 1, 2), "hidden": 8} | fields)
    document = make_document(spec, pixel_size=0.5, temperature=1.3)
    return Model(document, random_state(spec), device="cpu")


@pytest.fixture(scope="module")
def model():
    return model_of(tile=64)


@pytest.fixture(scope="module")
def small():
    """A network that is exported in seconds."""
    return model_of(tile=64, stages=(-1, 0, 1))


@pytest.fixture(scope="module")
def patches():
    return np.random.default_rng(1).integers(0, 256, (40, 64, 64, 3)).astype(np.uint8)


def as_tensor(patches):
    return torch.from_numpy(patches.transpose(0, 3, 1, 2).astype(np.float32))


def test_the_network_of_a_patch_is_what_classifies_patches(model, patches):
    with torch.inference_mode():
        found = PatchNetwork(model)(as_tensor(patches)).softmax(1).numpy()
    np.testing.assert_allclose(found, model.classify_patches(patches), atol=1e-5)


def test_intensities_of_0_to_1_are_averaged_like_others():
    model = model_of(zooms=(1, 2))
    pixels = as_tensor(np.random.default_rng(6).integers(0, 256, (8, 64, 64, 3)))
    with torch.inference_mode():
        told = PatchNetwork(model, scale=255.0)(pixels / 255)
        assert torch.equal(told, PatchNetwork(model)(pixels))


@pytest.mark.parametrize("zoom", [1, 2])
def test_the_network_of_a_picture_is_what_paints(zoom):
    """At every pixel of a tile, its halo included, the same sums as painting's."""
    model = model_of(zooms=(1, 2))
    spec, size = model.document.network, 2 * HALO + 64
    pixels = np.random.default_rng(2).integers(0, 256, (size, size, 3)).astype(np.float32)
    with torch.inference_mode():
        told = DenseNetwork(model, zoom)(as_tensor(pixels[None])).numpy()[0]
    maps = random_engine(spec).head_maps(pixels, zoom)
    stride = {-1: 1, 0: 2, 1: 4, 2: 8}
    expected = np.zeros_like(told)
    places = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    for stage, cells in maps.items():
        at = [each / stride[stage] for each in places]
        for i, channel in enumerate(cells):
            expected[i] += map_coordinates(channel, at, order=1, mode="nearest")
    inside = np.s_[:, HALO:-HALO, HALO:-HALO]
    np.testing.assert_allclose(told[inside], expected[inside], atol=1e-3)


@pytest.fixture(scope="module")
def onnx_networks(tmp_path_factory):
    """A model that looks at two zooms, an image, and what ONNX Runtime makes of the model."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    # Nothing that the middle of such a tile sees lies outside it.
    model = model_of(zooms=(1, 3), stages=(-1, 0, 1), tile=52)
    path = tmp_path_factory.mktemp("onnx") / "lung.onnx"
    written = export_model(model, path, "onnx")
    assert sorted(path.parent.iterdir()) == sorted(written)
    image = np.random.default_rng(3).integers(0, 256, (384, 384, 3)).astype(np.uint8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # more would only wait, and keep a processor busy with it
    return model, image, [onnxruntime.InferenceSession(each, options) for each in written]


def told_of(session):
    return json.loads(session.get_modelmeta().custom_metadata_map["napari-lungcls"])


@pytest.mark.filterwarnings("ignore:image does not tell its pixel size")
def test_the_onnx_network_of_a_patch_says_what_the_model_says(onnx_networks):
    model, image, (session, *_) = onnx_networks
    told = told_of(session)
    assert told["classes"] == list(model.scheme.names)
    assert told["pixel_size"] == 0.5
    edge = told["edge"]
    # From 12 to 12 pixels, so that the cells of both zooms lie where those of the image do.
    corners = np.random.default_rng(4).integers(0, (384 - edge) // 12 + 1, (1000, 2)) * 12
    expected = model.classify(image, corners + (edge - 1) / 2)
    for first in range(0, 1000, 50):
        rows = np.s_[first : first + 50]
        patches = [image[y : y + edge, x : x + edge] for y, x in corners[rows]]
        (logits,) = session.run(None, {"pixels": as_tensor(np.stack(patches)).numpy()})
        np.testing.assert_allclose(softmax(logits, axis=1), expected[rows], rtol=0, atol=1e-4)


@pytest.mark.filterwarnings("ignore:image does not tell its pixel size")
def test_the_onnx_networks_of_a_picture_say_what_the_model_says(onnx_networks):
    """Put together as docs/exporting.md tells."""
    model, image, (_, *sessions) = onnx_networks
    points = np.random.default_rng(5).integers(0, 384, (1000, 2))
    summed = 0.0
    for session in sessions:
        told = told_of(session)
        zoom, halo, edge = told["zoom"], told["halo"], 384 // told["zoom"]
        averages = np.rint(image.reshape(edge, zoom, edge, zoom, 3).mean((1, 3)))
        picture = np.pad(averages, ((halo, halo), (halo, halo), (0, 0)), mode="reflect")
        (maps,) = session.run(None, {"pixels": as_tensor(picture[None]).numpy()})
        at = (points + 0.5) / zoom - 0.5 + halo
        summed += np.stack([map_coordinates(each, at.T, order=1) for each in maps[0]], axis=1)
    lit = np.maximum(summed + told["bias"], 0)
    logits = lit @ np.transpose(told["out_weight"]) + told["out_bias"]
    found = softmax(logits / told["temperature"], axis=1)
    np.testing.assert_allclose(found, model.classify(image, points), rtol=0, atol=1e-4)


def test_onnx_replaces_no_file(small, tmp_path):
    (tmp_path / "lung.dense-zoom1.onnx").touch()
    with pytest.raises(lc.InputError, match=r"zoom1\.onnx exists"):
        export_model(small, tmp_path / "lung.onnx", "onnx")


def test_wsinfer_runs_it_as_qupath_would(model, patches, tmp_path):
    (folder,) = export_model(model, tmp_path / "lung", "wsinfer")
    config = json.loads((folder / "config.json").read_text())
    assert config["patch_size_pixels"] == 64
    assert config["spacing_um_px"] == 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what QuPath's library does is deprecated in Python's
        network = torch.jit.load(folder / "torchscript_model.pt")
    with torch.inference_mode():
        found = network(as_tensor(patches) / 255).softmax(1).numpy()
    np.testing.assert_allclose(found, model.classify_patches(patches), atol=1e-4)


# The library leaves the files open that it packs.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_bioimageio_validates_the_package(small, tmp_path):
    spec = pytest.importorskip("bioimageio.spec")
    pytest.importorskip("onnxruntime")
    (path,) = export_model(small, tmp_path / "lung.zip", "bioimageio")
    assert spec.load_description(path).type == "model"
    gc.collect()


# Not in the pins: it is large, and was run by hand.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.skipif(not find_spec("bioimageio.core"), reason="needs bioimageio.core")
def test_bioimageio_runs_the_package(small, tmp_path):
    (path,) = export_model(small, tmp_path / "lung.zip", "bioimageio")
    # In a process of its own: it leaves files open, and warns of itself.
    code = (
        "import sys; from bioimageio.core import test_description as test;"
        "said = test(sys.argv[1]); print(said.status, *(each.name for each in said.details))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    said = done.stdout.splitlines()[-1]
    assert said.startswith("passed"), done.stdout
    assert said.count("Run onnx inference") > 1, said
    assert said.count("Run torchscript inference") > 1, said


def test_torchvision_takes_the_plain_form_only(model, tmp_path):
    plain = make_spec(stages=(4,), pooling="mean", tile=64)
    state = random_state(plain)
    exported = Model(make_document(plain), state, device="cpu")
    (path,) = export_model(exported, tmp_path / "plain.pth", "torchvision")
    found = torch.load(path, weights_only=True)
    assert set(found) == set(state)
    assert found["fc.weight"].shape == (3, 512)
    with pytest.raises(lc.InputError, match="onnx"):
        export_model(model, tmp_path / "other.pth", "torchvision")


def test_refuses_what_has_no_such_form(model, tmp_path):
    with pytest.raises(lc.InputError, match="end in"):
        export_model(model, tmp_path / "lung.zip", "onnx")
    other = Model(make_document(model.document.network), model.state, device="cpu")
    with pytest.raises(lc.InputError, match="pixel size"):
        export_model(other, tmp_path / "lung", "wsinfer")
    assert list(tmp_path.iterdir()) == []
