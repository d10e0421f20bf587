"""Starting weights: what is read, what is refused, and how downloads behave."""

import hashlib
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import save_file

from file_server import FileServer
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.network.parameters import backbone_shapes
from napari_lungcls.network.pretrained import (
    IMAGENET,
    WITHOUT,
    PretrainedSource,
    load_available,
    load_pretrained,
)
from napari_lungcls.utils.downloads import cache_folder

SHARED = Path(__file__).parents[2].parent / "shared/data/resnet18_imagenet_to_layer3.safetensors"
State = dict[str, NDArray[np.float32]]


def made(*prefixes: str, seed: int = 0) -> State:
    """Make the backbone's arrays whose names begin with one of the prefixes."""
    random = np.random.default_rng(seed)
    return {
        name: random.random(shape, dtype=np.float32)
        for name, shape in backbone_shapes().items()
        if name.startswith(prefixes)
    }


STEM = made("conv1", "bn1")


def saved(path: Path, state: State) -> Path:
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({name: torch.from_numpy(array) for name, array in state.items()}, path)
    return path


def refusal(path: str | Path) -> str:
    with pytest.raises(InputError) as caught:
        load_pretrained(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
def test_arrays_come_back_as_they_were(tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path / f"w{suffix}", STEM)
    weights = load_pretrained(path)
    assert weights.state.keys() == STEM.keys()
    for name, array in weights.state.items():
        np.testing.assert_array_equal(array, STEM[name])
        assert array.dtype == np.float32
        assert array.flags.writeable
    assert weights.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert weights.origin == str(path)
    assert weights.missing == ("layer1", "layer2", "layer3", "layer4")
    assert weights.message() == f"conv1, bn1 from {path}; layer1 to layer4 stay random"


def test_message_names_no_more_and_no_less_than_what_is_missing(tmp_path: Path) -> None:
    state = made("conv1", "bn1", "layer1", "layer2.0")
    del state["layer1.1.conv2.weight"]
    weights = load_pretrained(saved(tmp_path / "w.safetensors", state))
    assert weights.missing == ("layer1.1.conv2", "layer2.1", "layer3", "layer4")
    assert weights.message() == (
        "conv1, bn1, layer1.0, layer1.1.conv1, layer1.1.bn1, layer1.1.bn2, layer2.0 "
        f"from {tmp_path / 'w.safetensors'}; layer1.1.conv2, layer2.1, layer3, layer4 stay random"
    )


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(kept=st.sets(st.sampled_from(sorted(made("conv1", "bn1", "layer1"))), min_size=1))
def test_missing_and_found_divide_the_backbone(tmp_path: Path, kept: set[str]) -> None:
    state = {name: array for name, array in made("conv1", "bn1", "layer1").items() if name in kept}
    weights = load_pretrained(saved(tmp_path / "w.safetensors", state))
    for name in backbone_shapes():
        covered = [m for m in weights.missing if name == m or name.startswith(f"{m}.")]
        assert len(covered) == (0 if name in kept else 1)


def test_classifier_counters_and_wrappers_of_other_programs(tmp_path: Path) -> None:
    tensors = {f"module.model.{name}": torch.from_numpy(array) for name, array in STEM.items()}
    tensors["module.model.bn1.num_batches_tracked"] = torch.tensor(7)
    tensors["module.model.fc.weight"] = torch.full((5, 512), 0.5, dtype=torch.bfloat16)
    tensors["module.model.fc.bias"] = torch.nn.Parameter(torch.arange(5.0))
    path = tmp_path / "checkpoint.pth"
    torch.save({"epoch": 3, "state_dict": tensors}, path)
    weights = load_pretrained(path)
    assert weights.state.keys() == STEM.keys()
    assert weights.fc is not None
    assert weights.fc[0].shape == (5, 512)
    assert weights.fc[0].dtype == np.float32
    np.testing.assert_array_equal(weights.fc[1], [0, 1, 2, 3, 4])
    assert weights.unexpected == ()


def test_prefix_stays_unless_all_names_have_it(tmp_path: Path) -> None:
    state = {f"backbone.{name}": array for name, array in STEM.items()}
    state["head.weight"] = np.zeros((3, 512), np.float32)
    message = refusal(saved(tmp_path / "w.safetensors", state))
    assert "none of a ResNet-18's arrays" in message
    assert "backbone.bn1.bias" in message


def test_other_arrays_are_named_and_left_out(tmp_path: Path) -> None:
    state = STEM | {"head.weight": np.zeros(3, np.float32), "fc.bias": np.zeros(3, np.float32)}
    weights = load_pretrained(saved(tmp_path / "w.safetensors", state))
    assert weights.fc is None
    assert set(weights.unexpected) == {"head.weight", "fc.bias"}
    assert weights.message().endswith("; 2 other arrays ignored")


def test_half_and_double_precision_become_float32(tmp_path: Path) -> None:
    state = {"bn1.weight": np.full(64, 0.1, np.float16), "bn1.bias": np.full(64, 0.1)}
    save_file(state, tmp_path / "w.safetensors")
    weights = load_pretrained(tmp_path / "w.safetensors")
    assert {array.dtype for array in weights.state.values()} == {np.dtype(np.float32)}
    np.testing.assert_allclose(weights.state["bn1.weight"], 0.1, rtol=1e-3)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"conv1.weight": np.zeros((64, 1, 7, 7), np.float32)}, ["64x1x7x7", "64x3x7x7"]),
        ({"bn1.bias": np.full(64, np.nan, np.float32)}, ["bn1.bias", "NaN"]),
        ({"bn1.bias": np.full(64, np.inf)}, ["bn1.bias", "infinity"]),
        ({"bn1.bias": np.zeros(64, np.int64)}, ["bn1.bias", "convert"]),
        ({"bn1.running_var": np.full(64, -1, np.float32)}, ["bn1.running_var", "negative"]),
        ({"fc.weight": np.zeros((9, 2048), np.float32)}, ["9x2048", "anyx512"]),
        (
            {"fc.weight": np.zeros((9, 512), np.float32), "fc.bias": np.zeros(8, np.float32)},
            ["9 classes", "8"],
        ),
        ({"layer1.2.conv1.weight": np.zeros(3, np.float32)}, ["layer1.2", "another network"]),
    ],
)
def test_arrays_that_cannot_be_right(
    tmp_path: Path, suffix: str, change: State, words: list[str]
) -> None:
    path = saved(tmp_path / f"w{suffix}", STEM | change)
    message = refusal(path)
    assert str(path) in message
    for word in words:
        assert word in message


def test_files_of_another_kind(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "absent.pth")
    assert "is a folder" in refusal(tmp_path)
    (tmp_path / "w.onnx").write_bytes(b"x")
    assert ".safetensors, .pth, .pt" in refusal(tmp_path / "w.onnx")
    (tmp_path / "empty.safetensors").touch()
    assert "not a whole safetensors file" in refusal(tmp_path / "empty.safetensors")
    save_file({}, tmp_path / "nothing.safetensors")
    assert "none of a ResNet-18's arrays" in refusal(tmp_path / "nothing.safetensors")
    torch.save([torch.zeros(3)], tmp_path / "list.pth")
    assert "holds a list" in refusal(tmp_path / "list.pth")


def test_pickle_renamed_to_safetensors_is_never_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(saved(tmp_path / "w.pth", STEM).read_bytes())
    assert "name it .pth" in refusal(path)
    path.write_bytes(pickle.dumps({"conv1.weight": STEM["conv1.weight"]}))
    assert "not a whole safetensors file" in refusal(path)


class Bomb:
    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.flag,)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pth_file_is_not_run(tmp_path: Path, zipped: bool) -> None:
    flag = tmp_path / "ran"
    path = tmp_path / "w.pth"
    state = {"conv1.weight": torch.zeros(64, 3, 7, 7), "x": Bomb(flag)}
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    assert "holds other objects" in refusal(path)
    assert not flag.exists()


def test_tensor_that_claims_more_than_it_stores(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(
        {"bn1.bias": torch.zeros(64), "fc.weight": torch.zeros(1, 1).expand(10**9, 512)}, path
    )
    assert "fc.weight" in refusal(path)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    suffix=st.sampled_from([".safetensors", ".pth"]),
    end=st.floats(0, 1, exclude_max=True),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
)
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_damaged_files_are_refused_in_one_line(
    tmp_path: Path, suffix: str, end: float, flips: list[tuple[float, int]]
) -> None:
    whole = saved(tmp_path / f"whole{suffix}", made("bn1")).read_bytes()
    damaged = bytearray(whole[: int(end * len(whole))])
    for place, value in flips:
        if damaged:
            damaged[int(place * len(damaged))] = value
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(damaged)
    refusal(path)


@pytest.mark.skipif(not SHARED.exists(), reason=f"{SHARED} is not there")
def test_real_weights_without_layer4() -> None:
    weights = load_pretrained(SHARED)
    assert weights.message() == f"conv1 to layer3 from {SHARED}; layer4 stays random"
    assert weights.missing == ("layer4",)
    assert len(weights.state) == 75
    assert weights.fc is None


class Server(FileServer):
    def publish(self, name: str, state: State) -> PretrainedSource:
        path = saved(self.folder / name, state)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return PretrainedSource(self.url(name), digest)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("LUNGCLS_OFFLINE", raising=False)
    (tmp_path / "www").mkdir()
    running = Server(tmp_path / "www")
    yield running
    running.stop()


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_download_is_kept_and_serves_without_a_network(
    server: Server, tmp_path: Path, suffix: str
) -> None:
    source = server.publish(f"made{suffix}", STEM)
    steps: list[tuple[int, int]] = []
    cache = tmp_path / "deep" / "cache"
    first = load_pretrained(
        "imagenet", cache=cache, sources=[source], progress=lambda *step: steps.append(step)
    )
    size = (server.folder / f"made{suffix}").stat().st_size
    assert steps[-1] == (size, size)
    assert steps == sorted(steps)
    assert first.origin == source.url
    assert first.sha256 == source.sha256
    server.stop()
    again = load_pretrained("imagenet", cache=cache, sources=[source])
    np.testing.assert_array_equal(again.state["conv1.weight"], STEM["conv1.weight"])
    assert len(server.requests) == 1


def test_cache_is_found_by_the_environment(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUNGCLS_CACHE", str(tmp_path / "mine"))
    source = server.publish("made.safetensors", STEM)
    load_pretrained("imagenet", sources=[source])
    assert [path.name for path in (tmp_path / "mine").iterdir()] == [source.file_name]
    monkeypatch.delenv("LUNGCLS_CACHE")
    assert cache_folder().name == "napari-lungcls"


def test_wrong_hash_is_refused_and_removed(server: Server, tmp_path: Path) -> None:
    source = server.publish("made.safetensors", STEM)
    server.publish("made.safetensors", made("conv1", "bn1", seed=1))
    with pytest.raises(InputError, match="SHA-256 differs") as caught:
        load_pretrained("imagenet", cache=tmp_path / "cache", sources=[source])
    assert source.url in str(caught.value)
    assert list((tmp_path / "cache").iterdir()) == []


def test_second_source_steps_in(server: Server, tmp_path: Path) -> None:
    good = server.publish("made.safetensors", STEM)
    gone = PretrainedSource(good.url.replace("made", "gone"), "0" * 64)
    weights = load_pretrained("imagenet", cache=tmp_path, sources=[gone, good])
    assert weights.origin == good.url
    server.stop()
    offline = load_pretrained("imagenet", cache=tmp_path, sources=[gone, good])
    assert offline.sha256 == good.sha256


def test_damaged_cache_is_fetched_again(server: Server, tmp_path: Path) -> None:
    source = server.publish("made.safetensors", STEM)
    (tmp_path / source.file_name).write_bytes(b"half of it")
    weights = load_pretrained("imagenet", cache=tmp_path, sources=[source])
    assert weights.sha256 == source.sha256


def test_missing_file_on_the_server_and_no_server_at_all(server: Server, tmp_path: Path) -> None:
    good = server.publish("made.safetensors", STEM)
    gone = PretrainedSource(good.url.replace("made", "gone"), "0" * 64)
    with pytest.raises(InputError, match="404") as caught:
        load_pretrained("imagenet", cache=tmp_path / "cache", sources=[gone])
    assert "use pretrained=..." in str(caught.value)
    server.stop()
    with pytest.raises(InputError, match="no connection") as caught:
        load_pretrained("imagenet", cache=tmp_path / "cache", sources=[good, gone])
    assert good.url in str(caught.value)
    assert gone.url in str(caught.value)
    assert list((tmp_path / "cache").iterdir()) == []


def test_weights_that_can_be_had_are_loaded(server: Server, tmp_path: Path) -> None:
    source = server.publish("made.safetensors", STEM)
    for _ in range(2):
        weights, said = load_available(cache=tmp_path, sources=[source])
        assert weights is not None
        assert weights.sha256 == source.sha256
        assert said == weights.message()
    assert len(server.requests) == 1


def test_a_server_without_them_is_asked_once_and_each_training_says_so(
    server: Server, tmp_path: Path
) -> None:
    gone, asked = PretrainedSource(server.url("gone.safetensors"), "0" * 64), set()
    for _ in range(3):
        with pytest.warns(LungclsWarning, match=f"^{WITHOUT}, .*random numbers.*404"):
            assert load_available(cache=tmp_path, sources=[gone]) == (None, "none")
        asked.add(len(server.requests))
    assert len(asked) == 1
    assert asked != {0}


def test_offline_no_server_is_asked(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUNGCLS_OFFLINE", "1")
    source = server.publish("made.safetensors", STEM)
    with pytest.raises(InputError, match="LUNGCLS_OFFLINE is set"):
        load_pretrained("imagenet", cache=tmp_path / "cache", sources=[source])
    with pytest.warns(LungclsWarning, match=f"^{WITHOUT}, .*LUNGCLS_OFFLINE is set"):
        assert load_available(cache=tmp_path / "cache", sources=[source]) == (None, "none")
    assert server.requests == []
    saved(tmp_path / "cache" / source.file_name, STEM)
    weights, _ = load_available(cache=tmp_path / "cache", sources=[source])
    assert weights is not None


def test_cache_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="LUNGCLS_CACHE"):
        load_pretrained("imagenet", cache=tmp_path / "file" / "cache", sources=IMAGENET)


def test_published_sources_are_pinned_and_apart() -> None:
    assert len({source.file_name for source in IMAGENET}) == len(IMAGENET)
    for source in IMAGENET:
        assert source.url.startswith("https://")
        assert len(bytes.fromhex(source.sha256)) == 32
    # torchvision names its file by the first eight digits of the hash.
    assert IMAGENET[0].url.endswith(f"/{IMAGENET[0].file_name}")
