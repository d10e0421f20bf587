"""The model file: exact, whole or not at all."""

from __future__ import annotations

import contextlib
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from known_network import make_document, make_spec, random_state
from napari_lungcls.errors import InputError
from napari_lungcls.network import model_file
from napari_lungcls.network.model_file import METADATA_KEY, read_model, write_model

SPEC = make_spec(stages=(-1, 0, 1), tile=16, hidden=4)
STATE = random_state(SPEC)
DOCUMENT = make_document(
    SPEC,
    pixel_size=0.5,
    settings={"epochs": 3},
    history=[{"epoch": 1, "train_loss": 0.25, "val_loss": None}],
    validation={"accuracy": 1 / 3},
    created="2026-11-20T12:00:00+00:00",
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = write_model(tmp_path_factory.mktemp("m") / "a.safetensors", DOCUMENT, STATE)
    return path.read_bytes()


def test_everything_comes_back_to_the_bit(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.safetensors", DOCUMENT, STATE)
    document, state = read_model(path)
    assert document == DOCUMENT
    assert state.keys() == STATE.keys()
    for name, array in state.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, STATE[name])
        array[...] = 0  # what was read can be changed
    assert read_model(str(path))[0] == DOCUMENT


def test_the_same_model_makes_the_same_bytes(tmp_path: Path, saved: bytes) -> None:
    backwards = dict(reversed(STATE.items()))
    again = write_model(tmp_path / "b.safetensors", DOCUMENT, backwards)
    assert again.read_bytes() == saved
    # The time of creation is the only thing that a second training would change.
    later = DOCUMENT.model_copy(update={"created": "2026-11-21T12:00:00+00:00"})
    other = write_model(tmp_path / "c.safetensors", later, STATE).read_bytes()
    assert sum(a != b for a, b in zip(other, saved, strict=True)) == 1


def test_any_program_can_read_arrays_and_description(saved: bytes, tmp_path: Path) -> None:
    """Following the published layout: length, JSON header, then the arrays."""
    length = int.from_bytes(saved[:8], "little")
    header = json.loads(saved[8 : 8 + length])
    assert json.loads(header.pop("__metadata__")[METADATA_KEY])["format_version"] == 3
    assert header.keys() == STATE.keys()
    entry = header["conv1.weight"]
    start, stop = (8 + length + offset for offset in entry["data_offsets"])
    assert entry["dtype"] == "F32"
    values = np.frombuffer(saved[start:stop], "<f4").reshape(entry["shape"])
    np.testing.assert_array_equal(values, STATE["conv1.weight"])


def test_arrays_in_odd_memory_are_written_right(tmp_path: Path) -> None:
    twisted = {
        name: np.asfortranarray(array) if array.ndim == 4 else array[::-1][::-1]
        for name, array in STATE.items()
    }
    path = write_model(tmp_path / "m.safetensors", DOCUMENT, twisted)
    for name, array in read_model(path)[1].items():
        np.testing.assert_array_equal(array, STATE[name])


@pytest.mark.parametrize(
    "name", ["model", "model.pt", "model.safetensors.bak", "model.SAFETENSORS"]
)
def test_the_name_must_tell_the_format(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"a model file ends in .safetensors"):
        write_model(tmp_path / name, DOCUMENT, STATE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_older_file_outlives_a_failed_write(
    tmp_path: Path, saved: bytes, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(saved)

    def half(state: Any, aside: Path, metadata: Any) -> None:
        Path(aside).write_bytes(b"half")
        raise error

    monkeypatch.setattr(model_file, "save_file", half)
    expected = InputError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        write_model(path, DOCUMENT, STATE)
    assert [file.name for file in tmp_path.iterdir()] == ["m.safetensors"]
    assert path.read_bytes() == saved


def test_a_place_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not exist; create it first"):
        write_model(tmp_path / "no" / "m.safetensors", DOCUMENT, STATE)
    (tmp_path / "d.safetensors").mkdir()
    with pytest.raises(InputError, match=r"is a folder"):
        write_model(tmp_path / "d.safetensors", DOCUMENT, STATE)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "no.safetensors", tmp_path):
        with pytest.raises(InputError, match=f"{path}: there is no such model file"):
            read_model(path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1), header=st.booleans())
def test_a_file_cut_off_anywhere_is_refused(
    tmp_path: Path, saved: bytes, share: float, header: bool
) -> None:
    end = int.from_bytes(saved[:8], "little") + 8 if header else len(saved) - 1
    path = tmp_path / "m.safetensors"
    path.write_bytes(saved[: int(share * end)])
    with pytest.raises(InputError, match=r"m.safetensors"):
        read_model(path)


def test_a_file_that_goes_on_too_long_is_refused(tmp_path: Path, saved: bytes) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(saved + b"\0")
    with pytest.raises(InputError, match=r"not a complete"):
        read_model(path)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_in_the_header_is_noticed_or_harmless(
    tmp_path: Path, saved: bytes, data: st.DataObject
) -> None:
    end = int.from_bytes(saved[:8], "little") + 8
    damaged = bytearray(saved)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, end - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "m.safetensors"
    path.write_bytes(damaged)
    with contextlib.suppress(InputError):
        document, state = read_model(path)
        shapes = document.network.shapes()
        assert {name: array.shape for name, array in state.items()} == shapes


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps({"conv1.weight": np.zeros(3)}),
        b"",
        b"\0" * 8,
        b"\xff" * 100,
        b"PK\x03\x04" + b"\0" * 200,
        (2).to_bytes(8, "little") + b"{}",
        (3).to_bytes(8, "little") + b"[]x",
        (1 << 40).to_bytes(8, "little") + b"{}",
    ],
)
def test_other_kinds_of_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"m.safetensors"):
        read_model(path)


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "exploded",))

    path = tmp_path / "m.safetensors"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError):
        read_model(path)
    assert not (tmp_path / "exploded").exists()
