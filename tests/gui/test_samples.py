"""Sample data as napari would add it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Image, Labels
from napari.utils import progress
from napari.utils.colormaps.standardize_color import transform_color
from PIL import Image as Picture

from file_server import FileServer
from napari_lungcls.errors import InputError
from napari_lungcls.gui.samples import (
    MOUSE_LUNG,
    MouseLung,
    mouse_section,
    synthetic_section,
    synthetic_stack,
)
from napari_lungcls.synthetic import kept, make_stack
from napari_lungcls.synthetic.kept import KeptStack
from plugin_in_napari import NAME, plugin_registered

REAL = Path(__file__).parents[2].parent / "shared/data/mouse_lung_he.jpg"


def test_the_synthetic_section_comes_with_its_truth_in_place():
    check_truth(*synthetic_section())


def test_the_synthetic_stack_comes_with_its_truth_in_place():
    image, _ = check_truth(*synthetic_stack())
    assert image.data.shape == (8, 512, 512, 3)
    np.testing.assert_allclose(image.scale, (5.0, 1.8, 1.8))


def check_truth(first: tuple, second: tuple) -> tuple[Image, Labels]:
    # What comes last is on top in napari, and selected.
    (classes, truth_options, truth_kind), (picture, image_options, image_kind) = first, second
    assert (image_kind, truth_kind) == ("image", "labels")
    image, truth = Image(picture, **image_options), Labels(classes, **truth_options)
    assert image.rgb
    assert image.visible
    assert not truth.visible
    assert image.units == truth.units
    assert {str(unit) for unit in image.units} == {"micrometer"}
    np.testing.assert_array_equal(image.scale, truth.scale)
    np.testing.assert_array_equal(image.extent.world, truth.extent.world)
    names = truth.metadata["classes"]
    found = np.unique(np.asarray(classes[-1:]))
    assert set(found) - {0} <= set(names)
    assert {"alveoli", "septa"} <= {names[code] for code in found if code}
    septa = next(code for code, name in names.items() if name == "septa")
    np.testing.assert_allclose(truth.colormap.map(septa), transform_color("#ffe119")[0])
    assert truth.features["class"][septa] == "septa"
    return image, truth


def test_a_kept_stack_is_the_stack_and_makes_every_plane_once(monkeypatch):
    made = []
    original = kept.make_section

    def counted(*args, **options):
        if options["seed"] == 2:  # The stack of another test may still be in the making.
            made.append(options["z"])
        return original(*args, **options)

    monkeypatch.setattr(kept, "make_section", counted)
    stack = KeptStack((3, 40, 30), spacing=7.0, seed=2)
    lazy = stack.lazy()
    assert made == []
    thread = stack.make_ahead()
    planes = [np.asarray(lazy.image[2]), np.asarray(lazy.truth[2])]
    thread.join(60)
    assert not thread.is_alive()
    whole = make_stack((3, 40, 30), spacing=7.0, seed=2)
    np.testing.assert_array_equal(planes[0], whole.image[2])
    np.testing.assert_array_equal(planes[1], whole.truth[2])
    np.testing.assert_array_equal(np.asarray(lazy.image), whole.image)
    assert sorted(made) == [0.0, 7.0, 14.0]
    assert made[0] == 7.0 or made[1] == 7.0, "the plane that napari shows first comes first"


def test_a_stack_that_is_closed_is_made_no_further():
    stack = KeptStack((40, 64, 64))
    thread = stack.make_ahead()
    del stack
    began = time.perf_counter()
    thread.join(30)
    assert not thread.is_alive()
    assert time.perf_counter() - began < 10, "forty planes take longer than that"


def test_the_stack_opens_before_all_planes_are_made(make_napari_viewer_proxy, monkeypatch):
    asked, opened = [], []
    section = KeptStack.section
    monkeypatch.setattr(
        KeptStack, "section", lambda self, k: asked.append((self, k)) or section(self, k)
    )
    monkeypatch.setattr(KeptStack, "make_ahead", lambda self: opened.append(self))
    with plugin_registered():
        viewer = make_napari_viewer_proxy()
        began = time.perf_counter()
        truth, image = viewer.open_sample(NAME, "synthetic_stack")
        print(f"\nthe sample stack opens in {time.perf_counter() - began:.2f} s")
        # napari looks at the first plane of any layer, and then shows the one in the middle.
        assert {k for stack, k in asked if stack in opened} == {0, 3}
        assert list(viewer.layers) == [truth, image]
        assert viewer.layers.selection.active == image
        assert viewer.dims.range[0].step == 5.0


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("LUNGCLS_OFFLINE")
    monkeypatch.setenv("LUNGCLS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "www").mkdir()
    running = FileServer(tmp_path / "www")
    yield running
    running.stop()


@pytest.fixture
def section(server: FileServer) -> MouseLung:
    """Publish a small made picture."""
    random = np.random.default_rng(0)
    Picture.fromarray(random.integers(0, 255, (300, 400, 3), np.uint8)).save(
        server.folder / "Example.jpg"
    )
    return published(server)


def published(server: FileServer) -> MouseLung:
    path = server.folder / "Example.jpg"
    return MouseLung(server.url(path.name), hashlib.sha256(path.read_bytes()).hexdigest())


def test_the_mouse_section_is_fetched_once_and_shown_with_its_scale(
    server, section, make_napari_viewer_proxy
):
    with plugin_registered():
        viewer = make_napari_viewer_proxy()
        for _ in range(2):
            (layer,) = viewer.open_sample(NAME, "mouse_section", sources=[section])
            assert layer.data.shape == (300, 400, 3)
            np.testing.assert_allclose(layer.scale, (1.8, 1.8))
            assert str(layer.units[0]) == "micrometer"
        assert len(server.requests) == 1


def test_the_download_moves_the_progress_bar_of_napari(section):
    seen = []

    class Watched(progress):
        def update(self, n: int = 1) -> None:
            super().update(n)
            seen.append((self.n, self.total))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari.utils.progress", Watched)
        mouse_section([section])
    size = seen[-1][1]
    assert seen[-1] == (size, size)
    assert size > 10_000
    assert not progress._all_instances, "a bar stays behind"


@pytest.mark.parametrize("problem", ["other bytes", "cut off", "missing", "no server"])
def test_what_cannot_be_fetched_says_what_to_do_and_leaves_nothing(
    server, section, problem, tmp_path
):
    path = server.folder / "Example.jpg"
    if problem == "other bytes":
        path.write_bytes(b"x" * 1000)
    elif problem == "cut off":
        path.write_bytes(path.read_bytes()[:-100])
    elif problem == "missing":
        path.unlink()
    else:
        server.stop()
    with pytest.raises(InputError) as caught:
        mouse_section([section])
    line = str(caught.value)
    assert line.startswith(f"cannot fetch the mouse lung section: {section.url} (")
    assert "connect to the internet and try again" in line
    assert "\n" not in line
    reason = {"missing": "404", "no server": "no connection"}.get(problem, "SHA-256 differs")
    assert reason in line
    assert list((tmp_path / "cache").iterdir()) == []
    assert not progress._all_instances, "a bar stays behind"


def test_a_damaged_cache_is_fetched_again(section, tmp_path):
    mouse_section([section])
    kept = tmp_path / "cache" / section.file_name
    kept.write_bytes(kept.read_bytes()[:100])
    ((pixels, _, _),) = mouse_section([section])
    assert pixels.shape == (300, 400, 3)


@pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not there")
def test_the_real_section_has_the_hash_that_is_asked_for(server):
    (server.folder / "Example.jpg").symlink_to(REAL)
    source = MouseLung(server.url("Example.jpg"), MOUSE_LUNG[0].sha256)
    ((pixels, options, _),) = mouse_section([source])
    assert pixels.shape == (4448, 7880, 3)
    assert pixels[100, 100].min() > 200, "glass"
    np.testing.assert_allclose(options["scale"], 500 / 275, rtol=0.02)


def test_the_published_addresses_are_pinned():
    for source in MOUSE_LUNG:
        assert source.url.startswith("https://raw.githubusercontent.com/OrangeBluee/")
        assert source.url.endswith("/Example.jpg")
        assert len(bytes.fromhex(source.sha256)) == 32
