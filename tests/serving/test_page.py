"""The page of a server in a real browser: mouse, keys, and nothing from elsewhere."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import napari_lungcls as lc

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        # CI runs as root, where Chromium has no sandbox.
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, client: Any) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    known = (str(client.base_url), "blob:")
    page.on("request", lambda asked: asked.url.startswith(known) or wrong.append(asked.url))
    page.goto(str(client.base_url))
    page.wait_for_selector("#model-name:not(:empty)")
    yield page
    page.close()
    assert wrong == []


def opened(page: Any, picture: bytes) -> dict[str, float]:
    file = {"name": "section.png", "mimeType": "image/png", "buffer": picture}
    page.set_input_files("#file", file)
    page.wait_for_selector("#tools:not([disabled])")
    page.wait_for_timeout(600)  # until the view has come to rest
    box: dict[str, float] = page.locator("#view").bounding_box()
    return box


def counted(page: Any) -> int:
    cells = page.locator("#classes tbody td:nth-child(2)").all_inner_texts()
    return sum(map(int, cells))


def test_a_click_says_what_the_command_line_says(page, picture, image, model_file):
    box = opened(page, picture)
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#last .bar")
    row, column = map(int, re.findall(r"\d+", page.inner_text("#last .place")))
    assert abs(row - 47.5) <= 1
    assert abs(column - 47.5) <= 1
    with page.expect_download() as saved:
        page.click("#save")
    lines = saved.value.path().read_text().splitlines()
    values = dict(zip(lines[0].split(","), lines[1].split(","), strict=True))
    where = [[float(values["axis-0"]), float(values["axis-1"])]]
    model = lc.load(model_file, device="cpu")
    told = model.classify(lc.as_stack(image, pixel_size=1.0), where)[0]
    np.testing.assert_allclose([float(values[f"p_class {i}"]) for i in range(3)], told, atol=1e-5)
    assert values["predicted"] == f"class {told.argmax()}"


def test_a_dragged_grid_undo_and_the_map(page, picture):
    box = opened(page, picture)
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.fill("#spacing", "8")
    page.mouse.move(middle[0] - 100, middle[1] - 100)
    page.mouse.down()
    page.mouse.move(middle[0] + 100, middle[1] + 100, steps=5)
    page.mouse.up()
    page.wait_for_selector("#undo:not([disabled])")
    assert counted(page) >= 4
    page.keyboard.press("Control+z")
    assert counted(page) == 0
    page.click("#paint")
    page.wait_for_selector("#show:not([disabled])")
    shares = page.locator("#classes tbody td:nth-child(3)").all_inner_texts()
    assert sum(float(share.split()[0]) for share in shares) == pytest.approx(100, abs=0.2)
    page.uncheck("#show")
    page.check("#show")


def test_all_of_it_by_keys_alone(page, picture):
    with page.expect_file_chooser() as chooser:
        for _ in range(8):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "choose":
                break
        page.keyboard.press("Enter")
    file = {"name": "section.png", "mimeType": "image/png", "buffer": picture}
    chooser.value.set_files(file)
    page.wait_for_selector("#tools:not([disabled])")
    seen = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.id"))
    assert {"canvas", "spacing", "pixel", "paint", "change"} <= seen
    page.focus("#canvas")
    page.keyboard.press("Enter")
    page.wait_for_selector("#last .bar")
    assert page.locator("#cross").is_visible()
    assert counted(page) == 1


def test_errors_are_said_on_the_page(page):
    wrong = {"name": "a.tif", "mimeType": "image/tiff", "buffer": b"II*\0"}
    page.set_input_files("#file", wrong)
    assert "PNG" in page.inner_text("#error")


def test_no_script_of_the_page_asks_elsewhere(client):
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    for name in ("../api.py", "nothing.js", "page.py"):
        assert client.get(f"/page/{name}").status_code == 404
    assert json.loads(client.get("/page/none.js").text)["error"]["code"] == "NotFound"
