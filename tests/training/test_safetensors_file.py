"""Files of weights, and networks filled with them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sface_data.embedding.backbones import create_backbone
from sface_data.errors import BadInput
from sface_data.training.safetensors_file import fill, read_safetensors


@pytest.mark.parametrize("name", ["tiny", "mobilefacenet", "iresnet18"])
def test_a_filled_network_has_the_weights_and_drew_no_random_numbers(name: str) -> None:
    drawn = create_backbone(name, 16).eval()
    before = torch.get_rng_state()
    filled = fill(lambda: create_backbone(name, 16), drawn.state_dict())
    assert torch.equal(before, torch.get_rng_state())
    for key, tensor in filled.state_dict().items():
        assert torch.equal(tensor, drawn.state_dict()[key])


def test_loading_a_generator_does_not_load_a_compiler() -> None:
    program = (
        "import sys\n"
        "from sface_data.generator.generator_file import DEMO_GENERATOR, load_generator\n"
        "load_generator(DEMO_GENERATOR)\n"
        "print('torch' in sys.modules, 'torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True False\n"


def test_a_file_that_is_cut_after_it_was_read_leaves_its_weights(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    weights = {
        "a": torch.arange(5000.0).reshape(50, 100),
        "b": torch.ones(3, dtype=torch.float16),
        "c": torch.ones(0, 2),
    }
    save_file(weights, path, {"made": "by hand"})
    read, metadata = read_safetensors(path)
    os.truncate(path, 64)
    assert metadata == {"made": "by hand"} and read.keys() == weights.keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in weights.items())
    assert {name: tensor.dtype for name, tensor in read.items()} == {n: t.dtype for n, t in weights.items()}
    with pytest.raises(BadInput, match="cut short"):
        read_safetensors(path)
