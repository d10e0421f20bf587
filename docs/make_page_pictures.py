"""Make pictures of the server's page from the folder that `lungcls demo` left.

Run `python docs/make_page_pictures.py lungcls-demo` after a demonstration, where there is a
Chromium; it writes docs/pictures/page-dark.webp and page-light.webp.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

import napari_lungcls as lc

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from serving_here import serving

PICTURES = Path(__file__).parent / "pictures"
SIZE = {"width": 1200, "height": 760}
EDGE = 700
"""Of the part of the unseen section that is shown, in pixels."""


def use(page: Any, picture: bytes) -> None:
    """Open a picture, paint it, and classify a grid and a point, as a visitor does."""
    page.wait_for_selector("#model-name:not(:empty)")
    file = {"name": "section.png", "mimeType": "image/png", "buffer": picture}
    page.set_input_files("#file", file)
    page.wait_for_selector("#tools:not([disabled])")
    page.click("#paint")
    page.wait_for_selector("#show:not([disabled])", timeout=120_000)
    page.wait_for_timeout(1000)  # until the view has come to rest
    box = page.locator("#view").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 120, y - 90)
    page.mouse.down()
    page.mouse.move(x + 60, y + 60, steps=5)
    page.mouse.up()
    page.wait_for_selector("#undo:not([disabled])", timeout=60_000)
    page.mouse.click(x + 150, y + 120)
    page.wait_for_selector("#last .bar", timeout=60_000)
    page.wait_for_timeout(500)


def main(folder: Path) -> None:
    """Take the page in both themes."""
    section = folder / "unseen.ome.tif"
    pixels = lc.as_stack(section).plane(()).read(slice(0, EDGE), slice(0, EDGE))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with serving(folder / "lung.safetensors") as client, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for theme in ("dark", "light"):
            page = browser.new_page(viewport=SIZE, color_scheme=theme)
            page.goto(str(client.base_url))
            use(page, file.getvalue())
            shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            target = PICTURES / f"page-{theme}.webp"
            shot.save(target, quality=86, method=6)
            print(target)
            page.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "lungcls-demo"))
