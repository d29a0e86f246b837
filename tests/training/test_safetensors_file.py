"""Networks filled with weights."""

import subprocess
import sys

import pytest
import torch

from sface_data.embedding.backbones import create_backbone
from sface_data.training.safetensors_file import fill


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
