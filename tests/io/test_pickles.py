"""What a pickle may cost."""

import io
import pickle

import pytest

from sface_data.io import pickles
from sface_data.io.pickles import Refused, read_pickle


@pytest.mark.parametrize("instruction", [b"}", b"]", b"(", b"N\x85", b"N\x94"])
def test_millions_of_objects_are_refused(instruction: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pickles._MOST_MADE == 2_000_000
    monkeypatch.setattr(pickles, "_MOST_MADE", 1000)
    with pytest.raises(Refused, match="millions of objects"):
        read_pickle(io.BytesIO(b"\x80\x04" + instruction * 1001 + b"."), {})


def test_a_long_list_is_read() -> None:
    value = ([b"%d" % number for number in range(50_000)], [True] * 25_000)
    assert read_pickle(io.BytesIO(pickle.dumps(value, 4)), {}) == value


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_of_every_protocol(protocol: int) -> None:
    value = [["a", 1.5, -3, 1 << 70, True, None], {"b": "é\n"}, [], ()]
    assert read_pickle(io.BytesIO(pickle.dumps(value, protocol)), {}) == value
