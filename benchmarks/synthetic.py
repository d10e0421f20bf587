"""How fast synthetic lungs are made, and whether air tells nothing without its surroundings.

Prints one JSON document: seconds of processor time and peak memory for sections of growing
size, and the balanced accuracy with which a random forest tells alveolar from ductal air at
0.4 µm per pixel, deep inside of the airspace: from the 64-pixel window (chance is 0.5), and
from the surroundings, shrunk 16 times.

    python benchmarks/synthetic.py [--sizes 512,1024,2048] [--sections 9] [--depth 22]
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score

from napari_lungcls.synthetic import LungParameters, LungSection, make_section

PIXEL_SIZE, WINDOW, ZOOM, SIZE = 0.4, 64, 16, 2000
AIR = ("alveoli", "duct")


def speed(sizes: list[int]) -> list[dict[str, float]]:
    """Time sections, smallest first, so that the peak of memory belongs to the last one."""
    rows = []
    for size in sizes:
        start = time.process_time()
        make_section((size, size))
        seconds = time.process_time() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        rows.append({"size": size, "seconds": round(seconds, 2), "peak_rss_mb": round(peak)})
    return rows


def describe(
    section: LungSection, y: int, x: int, level: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the features of the window around a pixel, and of its surroundings."""
    half = WINDOW // 2
    window = section.image[y - half : y + half, x - half : x + half].astype(float)
    blocks = window.reshape(8, 8, 8, 8, 3).mean(axis=(1, 3))
    quantiles = np.percentile(window, [1, 10, 50, 90, 99], axis=(0, 1))
    local = [window.mean(axis=(0, 1)), window.std(axis=(0, 1)), quantiles, blocks]
    y, x, reach = y // ZOOM, x // ZOOM, 16
    around = level[y - reach : y + reach, x - reach : x + reach]
    return np.concatenate([part.ravel() for part in local]), around.ravel()


def examples(
    seed: int, depth: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Draw points of both kinds of air that are at least `depth` µm from tissue."""
    # Even light: the few airspaces of a section must not be known by where they are lit.
    parameters = LungParameters(illumination=0)
    section = make_section((SIZE, SIZE), pixel_size=PIXEL_SIZE, seed=seed, parameters=parameters)
    codes = [section.scheme.code(name) + 1 for name in AIR]
    from_tissue = distance_transform_edt(np.isin(section.truth, codes)) * PIXEL_SIZE
    edge = 17 * ZOOM
    inner = np.zeros(section.truth.shape, dtype=bool)
    inner[edge:-edge, edge:-edge] = True
    level = section.image.reshape(SIZE // ZOOM, ZOOM, SIZE // ZOOM, ZOOM, 3).mean(axis=(1, 3, 4))
    rng = np.random.default_rng(seed)
    local, around, labels = [], [], []
    for code in codes:
        places = np.flatnonzero(inner & (section.truth == code) & (from_tissue > depth))
        for place in rng.choice(places, min(150, len(places)), replace=False):
            here, there = describe(section, *divmod(int(place), SIZE), level)
            local.append(here)
            around.append(there)
            labels.append(code)
    return np.array(local), np.array(around), np.array(labels)


def context(sections: int, depth: float) -> dict[str, float]:
    """Train forests on two thirds of the sections, and score them on the others."""
    made = [examples(seed, depth) for seed in range(1, sections + 1)]
    cut = max(1, sections * 2 // 3)
    halves = (made[:cut], made[cut:])
    scores = {}
    for k, name in enumerate(("window", "surroundings")):
        train, test = (np.concatenate([part[k] for part in p]) for p in halves)
        truth = [np.concatenate([part[2] for part in p]) for p in halves]
        forest = RandomForestClassifier(200, class_weight="balanced", random_state=0)
        guess = forest.fit(train, truth[0]).predict(test)
        scores[name] = round(float(balanced_accuracy_score(truth[1], guess)), 3)
    return scores


def main() -> None:
    """Run both and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="512,1024,2048")
    parser.add_argument("--sections", type=int, default=9)
    parser.add_argument("--depth", type=float, default=22.0, help="µm from tissue")
    options = parser.parse_args()
    sizes = sorted(int(size) for size in options.sizes.split(","))
    figures = {"speed": speed(sizes), "accuracy": context(options.sections, options.depth)}
    json.dump(figures, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
