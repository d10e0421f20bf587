"""Why MXNet cannot run here, in a sentence; and that importing it leaves numpy alone."""

from __future__ import annotations

import ctypes
import importlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from engine_examples import devices
from known_network import make_spec
from napari_lungcls.errors import InputError
from napari_lungcls.network.engines import (
    EngineUnavailableError,
    create_engine,
    engine_status,
)
from napari_lungcls.network.engines.mxnet import runtime as mxnet_devices
from napari_lungcls.network.engines.mxnet import runtime as mxnet_import
from napari_lungcls.network.engines.mxnet.runtime import (
    Gpu,
    describe_devices,
    find_gpus,
    resolve_device,
)

H200 = Gpu(0, "NVIDIA H200", (9, 0))
RTX = Gpu(1, "NVIDIA RTX 4090", (8, 9))
OLD = Gpu(2, "Tesla K80", (3, 7))


class Machine:
    """A machine on which MXNet would run, until something is changed."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.patch = patch
        self.builds = {"mxnet": "1.9.1"}
        self.libraries: set[str] = set()
        self.loaded: list[str] = []
        self.numpy = "1.26.4"
        self.modules = {"mxnet", "distutils"}
        self.error: Exception | None = None
        for name in [m for m in sys.modules if m == "mxnet"]:
            patch.delitem(sys.modules, name)
        patch.setattr(mxnet_import, "_version", lambda name: self.builds.get(name))
        patch.setattr(mxnet_import, "find_spec", self._find)
        patch.setattr(importlib, "import_module", self._import)
        patch.setattr(ctypes, "CDLL", self._load)
        self.platform("linux", "x86_64")

    def platform(self, system: str, machine: str) -> None:
        self.patch.setattr(mxnet_import.sys, "platform", system)
        self.patch.setattr(mxnet_import.platform, "machine", lambda: machine)

    def complaint(self) -> str:
        self.patch.setattr(mxnet_import.np, "__version__", self.numpy)
        with pytest.raises(EngineUnavailableError) as caught:
            mxnet_import.load()
        assert isinstance(caught.value, InputError)
        return str(caught.value)

    def _find(self, name: str) -> object:
        return object() if name in self.modules else None

    def _import(self, name: str) -> Any:
        assert hasattr(np, "bool")
        if self.error:
            raise self.error
        return name

    def _load(self, name: str, *mode: int) -> None:
        if name not in self.libraries:
            raise OSError(name)
        assert mode == (ctypes.RTLD_GLOBAL,)
        self.loaded.append(name)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


@pytest.mark.parametrize(
    "here", [("win32", "AMD64"), ("darwin", "arm64"), ("linux", "ppc64le"), ("freebsd", "x86_64")]
)
def test_a_platform_without_a_release(machine: Machine, here: tuple[str, str]) -> None:
    machine.platform(*here)
    found = machine.complaint()
    assert f"no release for {here[0]} {here[1]}" in found
    assert "use the engine torch" in found


def test_not_installed(machine: Machine) -> None:
    machine.builds = {}
    assert "not installed; install napari-lungcls with the extra mxnet" in machine.complaint()


def test_both_builds(machine: Machine) -> None:
    machine.builds["mxnet-cu112"] = "1.9.1"
    assert "both installed" in machine.complaint()
    assert "uninstall both" in machine.complaint()


def test_an_older_release(machine: Machine) -> None:
    machine.builds["mxnet"] = "1.6.0"
    assert "mxnet 1.6.0 is installed, and 1.9.1 is needed" in machine.complaint()


def test_a_numpy_that_is_too_new(machine: Machine) -> None:
    machine.numpy = "2.4.6"
    assert "numpy 2.4.6 is installed; pip install 'numpy<2'" in machine.complaint()


def test_a_python_without_distutils(machine: Machine) -> None:
    machine.modules.remove("distutils")
    machine.patch.setattr(mxnet_import.sys, "version_info", (3, 12, 1))
    assert "pip install setuptools" in machine.complaint()


def test_an_import_that_fails(machine: Machine) -> None:
    before = vars(np).get("bool")
    machine.error = OSError("libquadmath.so.0: no such file")
    assert "cannot be imported (libquadmath.so.0: no such file)" in machine.complaint()
    assert vars(np).get("bool") is before


ALL_CUDA = [name for names in mxnet_import.CUDA_LIBRARIES.values() for name in names]


def test_a_cuda_build_without_its_libraries(machine: Machine) -> None:
    machine.builds = {"mxnet-cu112": "1.9.1"}
    assert "libcudart.so.11.0 was not found; install" in machine.complaint()
    machine.libraries = {*ALL_CUDA, "libcuda.so.1"} - {"libcudnn.so.8"}
    assert "libcudnn.so.8 was not found" in machine.complaint()


def test_a_cuda_build_without_a_driver(machine: Machine) -> None:
    machine.builds = {"mxnet-cu112": "1.9.1"}
    machine.libraries = set(ALL_CUDA)
    found = machine.complaint()
    assert "no NVIDIA driver" in found
    assert "uninstall mxnet-cu112 and install mxnet" in found
    # One needs the other, so the order counts.
    assert machine.loaded == [
        "libcudart.so.11.0", "libcublasLt.so.11", "libcublas.so.11", "libcufft.so.10",
        "libcurand.so.10", "libcusparse.so.11", "libcusolver.so.11", "libnvrtc.so.11.2",
        "libnvToolsExt.so.1", "libnccl.so.2", "libcudnn.so.8",
    ]  # fmt: skip


def test_libraries_of_wheels_come_before_those_of_the_system(
    machine: Machine, tmp_path: Any
) -> None:
    (tmp_path / "cudnn" / "lib").mkdir(parents=True)
    wheel = tmp_path / "cudnn" / "lib" / "libcudnn.so.8"
    wheel.touch()
    machine.patch.setattr(
        mxnet_import,
        "find_spec",
        lambda name: type("Spec", (), {"submodule_search_locations": [str(tmp_path)]}),
    )
    assert mxnet_import._places("cudnn", "libcudnn.so.8") == [str(wheel), "libcudnn.so.8"]
    assert mxnet_import._places("nccl", "libnccl.so.2") == ["libnccl.so.2"]


def test_the_reason_reaches_status_and_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [m for m in sys.modules if "mxnet" in m and not m.startswith("tests")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("sys.platform", "win32")
    status = engine_status("mxnet")
    assert (status["available"], status["devices"]) == (False, [])
    assert "no release for win32" in str(status["reason"])
    with pytest.raises(InputError, match="no release for win32"):
        create_engine("mxnet", make_spec())


def test_importing_it_leaves_numpy_as_it_was() -> None:
    assert "cpu" in devices("mxnet")
    code = (
        "import warnings, numpy as np, numpy.testing, numpy.typing\n"
        "before, filters = dict(vars(np)), list(warnings.filters)\n"
        "from napari_lungcls.network.engines.mxnet.runtime import load\n"
        "assert load().__version__ == '1.9.1' and load() is load()\n"
        "after = dict(vars(np))\n"
        "changed = {k for k in before.keys() | after.keys() if before.get(k) is not after.get(k)}\n"
        "assert changed <= {'_core'}, changed\n"  # a submodule that pandas also loads
        "assert list(warnings.filters) == filters\n"
        "assert np.geterr() == {'divide': 'warn', 'over': 'warn', 'under': 'ignore', "
        "'invalid': 'warn'}\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)


@pytest.mark.parametrize(
    ("name", "gpus", "index"),
    [
        ("cpu", [RTX], None),
        ("auto", [], None),
        ("auto", [H200], None),
        ("auto", [H200, RTX], 1),
        ("cuda:1", [H200, RTX], 1),
    ],
)
def test_devices_that_can_be_used(name: str, gpus: list[Gpu], index: int | None) -> None:
    assert resolve_device(name, gpus, cuda=True) == index


@pytest.mark.parametrize(
    ("name", "cuda", "message"),
    [
        ("cuda", True, r"H200 \(compute capability 9.0\) is too new .* use engine='torch'"),
        ("cuda:0", True, "too new"),
        ("cuda:2", True, "Tesla K80 .* too old"),
        ("cuda:1", False, "this build of MXNet; uninstall mxnet and install mxnet-cu112"),
        ("cuda:3", True, "^device: there is no 'cuda:3' on this machine"),
        ("mps", True, "^device: 'mps' is none of auto, cpu and cuda"),
        ("cuda:", True, "'cuda:' is none of"),
        ("cuda1", True, "'cuda1' is none of"),
    ],
)
def test_devices_that_cannot(name: str, cuda: bool, message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolve_device(name, [H200, RTX, OLD], cuda=cuda)


def test_the_status_says_why_gpus_are_not_used() -> None:
    devices, notes = describe_devices([H200, RTX, OLD], cuda=True)
    assert devices == ["cpu", "cuda:1 NVIDIA RTX 4090"]
    assert ["H200" in notes[0], "K80" in notes[1]] == [True, True]
    devices, notes = describe_devices([RTX], cuda=False)
    assert (devices, len(notes)) == (["cpu"], 1)
    assert "install mxnet-cu112 instead of mxnet" in notes[0]
    assert describe_devices([], cuda=False) == (["cpu"], [])


class Driver:
    """What the NVIDIA driver answers on a machine with two GPUs."""

    gpus = ((b"NVIDIA H200", 9, 0), (b"NVIDIA A100", 8, 0))

    def __init__(self, code: int = 0) -> None:
        self.code = code

    def cuInit(self, flags: int) -> int:
        return self.code

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = 2
        return 0

    def cuDeviceGet(self, device: Any, index: int) -> int:
        device._obj.value = index
        return 0

    def cuDeviceGetName(self, name: Any, size: int, device: Any) -> int:
        name.value = self.gpus[device.value][0]
        return 0

    def cuDeviceGetAttribute(self, value: Any, which: int, device: Any) -> int:
        value._obj.value = self.gpus[device.value][{75: 1, 76: 2}[which]]
        return 0


def test_the_driver_is_asked_for_its_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mxnet_devices.ctypes, "CDLL", lambda name: Driver())
    assert find_gpus() == [Gpu(0, "NVIDIA H200", (9, 0)), Gpu(1, "NVIDIA A100", (8, 0))]
    monkeypatch.setattr(mxnet_devices.ctypes, "CDLL", lambda name: Driver(code=100))
    assert find_gpus() == []

    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(mxnet_devices.ctypes, "CDLL", missing)
    assert find_gpus() == []
