"""Files of torch: what was changed in them is found, whatever torch makes of it."""

import io
import pickle
import zipfile

import pytest
import torch

from sface_data.training.torch_files import load_tensors_only

CONTENT = {"weights": torch.arange(40.0), "step": 3, "settings": "{}"}


def saved(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def test_each_flipped_bit_is_found_or_changes_nothing() -> None:
    data = saved(CONTENT)
    found = 0
    for at in range(0, len(data), 5):
        changed = bytearray(data)
        changed[at] ^= 1 << at % 8
        try:
            content = load_tensors_only(bytes(changed))
        except ValueError:
            found += 1
            continue
        assert torch.equal(content["weights"], CONTENT["weights"])
        assert (content["step"], content["settings"], content.keys()) == (3, "{}", CONTENT.keys())
    assert found > len(data) // 20


@pytest.mark.parametrize(
    "instructions",
    [
        b"\x80\x02.",
        b"\x80\x02h\x05.",
        b"\x80\x02K\x01K\x02s.",
        b"\x80\x02]K\x01b.",
        b"\x80\x02NQ.",
        b"\x80\x02(t",
        b"]" * 9,
    ],
)
def test_instructions_that_make_no_sense(instructions: bytes) -> None:
    source = zipfile.ZipFile(io.BytesIO(saved(CONTENT)))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name in source.namelist():
            target.writestr(name, instructions if name.endswith("data.pkl") else source.read(name))
    with pytest.raises(ValueError):
        load_tensors_only(buffer.getvalue())


def test_what_is_compressed_or_calls_is_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("archive/data.pkl", b"\x80\x02N.")
    with pytest.raises(ValueError, match="compressed"):
        load_tensors_only(buffer.getvalue())
    with pytest.raises(ValueError):
        load_tensors_only(pickle.dumps(print), old_formats=True)
