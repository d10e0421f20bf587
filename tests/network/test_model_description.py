"""What a model file says about itself, and its arrays: checked before they are used."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from engine_examples import examples
from known_network import make_document, make_spec, random_state, reference_logits
from napari_lungcls.errors import InputError
from napari_lungcls.network import model_file
from napari_lungcls.network.engines import create_engine
from napari_lungcls.network.model_file import METADATA_KEY, read_model, write_model
from napari_lungcls.network.parameters import backbone_shapes
from napari_lungcls.network.spec import Normalisation

SPEC = make_spec(stages=(1,), tile=16)
STATE = random_state(SPEC)
DOCUMENT = make_document(
    SPEC,
    pixel_size=0.5,
    settings={"epochs": 3},
    history=[{"epoch": 1, "train_loss": 0.25, "val_loss": None}],
    validation={"accuracy": 1 / 3},
    created="2026-11-20T12:00:00+00:00",
)


def store(path: Path, state: dict[str, NDArray[Any]], document: Any) -> Path:
    """Write arrays with any description, as a foreign or damaged program might."""
    text = document if isinstance(document, str) else json.dumps(document)
    save_file(state, path, metadata={METADATA_KEY: text})
    return path


def described() -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT.model_dump(mode="json")
    return found


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = write_model(tmp_path_factory.mktemp("m") / "a.safetensors", DOCUMENT, STATE)
    return path.read_bytes()


def test_bare_weights_are_sent_to_pretrained(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "m.safetensors")
    with pytest.raises(InputError, match=r"no model of napari-lungcls.*use pretrained="):
        read_model(tmp_path / "m.safetensors")
    save_file(STATE, tmp_path / "m.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"no model of napari-lungcls"):
        read_model(tmp_path / "m.safetensors")


@pytest.mark.parametrize("version", [4, 99, 4.0, 3.5, 1e300, 10**18])
def test_newer_formats_are_refused_with_the_remedy(tmp_path: Path, version: float) -> None:
    # What else a newer document holds is not looked at.
    document = {"format_version": version, "network": "of another kind"}
    with pytest.raises(InputError, match=r"has format .*, this version reads up to 3; update"):
        read_model(store(tmp_path / "m.safetensors", STATE, document))


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"format_version": 0}, "format_version"),
        ({"format_version": "2"}, "format_version"),
        ({"format_version": None}, "format_version"),
        ({"network": None}, "network"),
        ({"scheme": {"name": "a", "classes": ["x"]}}, "document"),
        ({"scheme": {"name": "a", "classes": ["x", "x", "y"]}}, "scheme"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"pixel_size": -1}, "pixel_size"),
        ({"pixel_size": float("inf")}, "pixel_size"),
        ({"history": 3}, "history"),
    ],
)
def test_a_damaged_description_names_the_field(
    tmp_path: Path, change: dict[str, Any], where: str
) -> None:
    path = store(tmp_path / "m.safetensors", STATE, described() | change)
    with pytest.raises(InputError, match=f"description is damaged at {where}"):
        read_model(path)


def test_the_normalisation_is_checked_too(tmp_path: Path) -> None:
    document = described()
    document["network"]["normalisation"]["std"] = [1, 1, float("nan")]
    path = store(tmp_path / "m.safetensors", STATE, document)
    with pytest.raises(InputError, match=r"damaged at network.normalisation.std"):
        read_model(path)


@pytest.mark.parametrize(
    "text",
    [
        *("", "nonsense", "[]", "3", "null", "{", '{"format_version": 1}'),
        *('"\\ud800"', '{"scheme": "\\ud800"}', "[" * 100_000),
        '{"format_version":' + "9" * 9999 + "}",
    ],
)
def test_descriptions_that_are_no_description_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"m.safetensors"):
        read_model(store(tmp_path / "m.safetensors", STATE, text))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=100)
@given(st.sampled_from(sorted(described())), JSON)
def test_any_value_in_any_field_is_accepted_or_refused(field: str, value: Any) -> None:
    text = json.dumps(described() | {field: value})
    with contextlib.suppress(InputError):
        found = model_file.parse_document(Path("m.safetensors"), text)
        assert model_file.parse_document(Path("m.safetensors"), found.model_dump_json()) == found


def test_fields_of_a_later_program_are_passed_over(tmp_path: Path) -> None:
    path = store(tmp_path / "m.safetensors", STATE, described() | {"author": "somebody"})
    assert read_model(path)[0] == DOCUMENT


def test_arrays_must_be_what_the_description_says(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"

    def refused(message: str, **arrays: NDArray[Any]) -> None:
        given = {name.replace("__", "."): array for name, array in arrays.items()}
        with pytest.raises(InputError, match=message):
            read_model(store(path, STATE | given, described()))

    refused(
        r"bn1.bias is float32 \(63,\), but should be float32 \(64,\)",
        bn1__bias=np.zeros(63, np.float32),
    )
    refused(r"conv1.weight is float32 \(64, 147\)", conv1__weight=np.zeros((64, 147), np.float32))
    refused(r"bn1.bias is float64", bn1__bias=np.zeros(64))
    refused(r"bn1.bias is float16", bn1__bias=np.zeros(64, np.float16))
    bad = np.zeros(64, np.float32)
    for value in (np.nan, np.inf):
        bad[7] = value
        refused(r"bn1.bias holds NaN", bn1__bias=bad)
    without = {name: array for name, array in STATE.items() if name != "heads.bias"}
    with pytest.raises(InputError, match=r"lacks the array heads.bias"):
        read_model(store(path, without, described()))


def test_a_network_of_the_first_format_is_read(tmp_path: Path) -> None:
    # As version 1 wrote it: windows, no hidden layer, no stem and no detail.
    old = {
        "format_version": 1,
        "network": {
            "zooms": [1, 4], "window": 64, "stages": [1, 2, 3, 4], "classes": 3,
            "readout": "point", "padding": "reflect",
            "normalisation": {"mean": [200, 170, 200], "std": [40, 50, 40], "dtype": "uint8"},
        },
        "scheme": described()["scheme"],
        "pixel_size": 0.5,
        "settings": {"window": 64, "batch_size": 32, "trunk_rate": 0.5},
        "split": {"by": "blocks", "buffer": 118.5},
    }  # fmt: skip
    names = {f"heads.zoom{z}.layer{s}.weight": (3, 64 * 2 ** (s - 1))
             for z in (1, 4) for s in (1, 2, 3, 4)}  # fmt: skip
    shapes = backbone_shapes() | names | {"heads.bias": (3,)}
    linear = make_spec(zooms=(1, 4), stages=(1, 2, 3, 4), tile=64)
    arrays = random_state(linear)
    assert {name: array.shape for name, array in arrays.items()} == shapes
    document, state = read_model(store(tmp_path / "old.safetensors", arrays, old))
    assert document.network == make_spec(
        zooms=(1, 4), stages=(1, 2, 3, 4), tile=64, hidden=0,
        normalisation=Normalisation(mean=(200, 170, 200), std=(40, 50, 40)),
    )  # fmt: skip
    assert document.settings == {"window": 64, "batch_size": 32, "backbone_lr_factor": 0.5}
    assert state.keys() == arrays.keys()
    tiles = examples(document.network, 3)
    engine = create_engine("torch", document.network, device="cpu")
    engine.load(state)
    wanted = reference_logits(document.network, state, tiles)
    np.testing.assert_allclose(engine.logits(tiles), wanted, rtol=1e-4)
    # Written again it is of this format.
    again = write_model(tmp_path / "new.safetensors", document, state)
    with safe_open(again, framework="numpy") as stored:
        text = json.loads(stored.metadata()[METADATA_KEY])
    assert text["network"]["tile"] == 64
    assert "window" not in text["network"]
    assert read_model(again)[0] == document


@pytest.mark.parametrize(
    ("network", "where"),
    [
        ({}, "network.tile"),
        ({"window": 8}, "network.tile"),
        ({"window": "wide"}, "network.tile"),
        ({"window": 64, "stages": [1, 5]}, "network"),
    ],
)
def test_a_damaged_network_of_the_first_format_names_the_field(
    tmp_path: Path, network: dict[str, Any], where: str
) -> None:
    old = described() | {"format_version": 1}
    kept = {n: v for n, v in old["network"].items() if n not in ("tile", "hidden")}
    old["network"] = kept | network
    with pytest.raises(InputError, match=f"description is damaged at {where}"):
        read_model(store(tmp_path / "m.safetensors", STATE, old))


def test_a_type_that_numpy_does_not_know_is_refused(tmp_path: Path, saved: bytes) -> None:
    header = int.from_bytes(saved[:8], "little")
    text = saved[8 : 8 + header]
    # The same number of bytes, as twice as many numbers of half the size.
    entry = b'"bn1.bias":{"dtype":"F32","shape":[64]'
    assert entry in text
    changed = text.replace(entry, entry.replace(b'F32","shape":[64]', b'BF16","shape":[128]'))
    path = tmp_path / "m.safetensors"
    path.write_bytes(len(changed).to_bytes(8, "little") + changed + saved[8 + header :])
    with pytest.raises(InputError, match=r"m.safetensors"):
        read_model(path)


def test_arrays_that_the_network_has_no_place_for_are_left_out(tmp_path: Path) -> None:
    more = STATE | {"layer9.weight": np.zeros(3, np.float32), "count": np.zeros(1, np.int64)}
    state = read_model(store(tmp_path / "m.safetensors", more, described()))[1]
    assert state.keys() == STATE.keys()
