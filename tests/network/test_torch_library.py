"""PyTorch's library is loaded without Python's lock, before PyTorch is imported."""

import subprocess
import sys

import pytest

LOADED = """
import sys
import napari_lungcls.network.engines.torch
assert "torch" not in sys.modules
assert "libtorch_cpu.so" in open("/proc/self/maps").read()
from napari_lungcls.network.engines.torch.engine import status
print(status())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only there is the library loaded before")
def test_the_library_is_there_before_pytorch_and_pytorch_takes_it() -> None:
    ended = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "cpu" in ended.stdout
