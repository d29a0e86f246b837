"""Published snapshots are read as data: right where they are whole, refused in one sentence where they are not."""

import copyreg
import io
import math
import pickle
import resource
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from sface_data.errors import BadInput
from sface_data.generator.nvlabs import (
    PersistentObject,
    read_generator,
    read_snapshot,
)

# --- pickles opcode by opcode -------------------------------------------------------------------------------


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def binary(value: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(value)) + value


def integer(value: int) -> bytes:
    size = value.bit_length() // 8 + 1
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def integers(*values: int) -> bytes:
    return b"(" + b"".join(integer(value) for value in values) + b"t"


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def call(module: str, name: str, *arguments: bytes) -> bytes:
    return named(module, name) + b"(" + b"".join(arguments) + b"tR"


def whole(*parts: bytes) -> bytes:
    return b"\x80\x04" + b"".join(parts) + b"."


STORAGES = {torch.float32: "FloatStorage", torch.float16: "HalfStorage", torch.int64: "LongStorage"}


def storage(values: Tensor, kind: str | None = None, claimed: int | None = None) -> bytes:
    """What torch writes for the numbers of a tensor."""
    count = values.numel() if claimed is None else claimed
    reference = b"(" + text("storage") + named("torch", kind or STORAGES[values.dtype])
    reference += text("7") + text("cpu") + integer(count) + b"NtQ"
    parts = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    parts += [b"\x80\x02" + reference + b".", pickle.dumps(["7"], 2), struct.pack("<q", count)]
    return b"".join(parts) + values.contiguous().numpy().tobytes()


def loaded(payload: bytes) -> bytes:
    return call("torch.storage", "_load_from_bytes", binary(payload))


def tensor(values: bytes, offset: int, size: bytes, stride: bytes) -> bytes:
    hooks = call("collections", "OrderedDict")
    return call("torch._utils", "_rebuild_tensor_v2", values, integer(offset), size, stride, b"\x89", hooks)


EASY = named("dnnlib.util", "EasyDict") + b")\x81"  # NEWOBJ, as a subclass of dict is written


def written(value: Any, table: bytes = EASY) -> bytes:
    """`value` in the layout of the StyleGAN3 release: protocol 3, numbers by numpy's old name, sets by name."""
    match value:
        case None:
            return b"N"
        case bool():
            return b"\x88" if value else b"\x89"
        case int():
            return integer(value)
        case float():
            form = call("numpy", "dtype", text("f8"), b"\x89", b"\x88")
            form += b"(" + integer(3) + text("<") + b"NNN" + integer(-1) + integer(-1) + integer(0) + b"tb"
            return call("numpy.core.multiarray", "scalar", form, binary(struct.pack("<d", value)))
        case str():
            return text(value)
        case tuple():
            return b"(" + b"".join(map(written, value)) + b"t"
        case list():
            return b"](" + b"".join(map(written, value)) + b"e"
        case dict():
            return table + b"(" + b"".join(text(k) + written(v) for k, v in value.items()) + b"u"
        case Tensor():
            size, stride = integers(*value.shape), integers(*value.contiguous().stride())
            rebuilt = tensor(loaded(storage(value)), 0, size, stride)
            return call("torch._utils", "_rebuild_parameter", rebuilt, b"\x88", call("collections", "OrderedDict"))
        case PersistentObject():
            state = value.state | {"_non_persistent_buffers_set": set()}
            meta = {
                "type": "class",
                "version": 4,
                "module_src": "raise SystemExit",
                "class_name": value.class_name,
            }
            parts = b"(" + b"".join(text(k) + written(v) for k, v in meta.items())
            parts = EASY + parts + text("state") + written(state, table=b"}") + b"u"
            return call("torch_utils.persistence", "_reconstruct_persistent_obj", parts)
        case set():
            return call("builtins", "set", b"](e")
    raise TypeError(type(value))


def snapshot(**networks: Any) -> bytes:
    return b"\x80\x03" + written(networks) + b"."


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def refused(path: Path, content: bytes) -> str:
    """The one sentence that reading ends in."""
    with pytest.raises(BadInput) as caught:
        read_generator(put(path, content))
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message and "\x1b" not in message and len(message) < 500 + len(str(path))
    return message


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "network.pkl"


@pytest.fixture
def ema(golden: Path) -> PersistentObject:
    return read_snapshot(golden / "conditional-32.pkl")["G_ema"]


# --- nothing is executed ------------------------------------------------------------------------------------

RUN = text("touch executed")
MODULE_CALLS = {
    "os.system": call("os", "system", RUN),
    "posix.system": call("posix", "system", RUN),
    "builtins.eval": call("builtins", "eval", text("open('executed', 'w')")),
    "builtins.exec": call("builtins", "exec", text("open('executed', 'w')")),
    "builtins.open": call("builtins", "open", text("executed"), text("w")),
    "builtins.getattr": call("builtins", "getattr", named("collections", "OrderedDict"), text("__class__")),
    "builtins.set.__class__": call("builtins", "set.__class__", text("x")),
    "collections.OrderedDict.__reduce__": named("collections", "OrderedDict.__reduce__"),
    "collections.abc.sys.modules": named("collections", "abc.sys.modules"),
    "copyreg._reconstructor": call("copyreg", "_reconstructor", named("builtins", "set"), b"NN"),
    "torch.load": call("torch", "load", RUN),
    "numpy.ndarray": named("numpy", "ndarray"),
    "torch_utils.persistence.exec": named("torch_utils.persistence", "exec"),
}
STACK_GLOBAL = text("os") + text("system") + b"\x93" + b"(" + RUN + b"tR"
INSTANCE = b"(" + RUN + b"ios\nsystem\n"
OBJECT = b"(" + named("builtins", "set") + RUN + b"o"


@pytest.mark.parametrize("name", MODULE_CALLS)
def test_foreign_globals_are_named_and_not_called(file: Path, name: str) -> None:
    message = refused(file, whole(MODULE_CALLS[name]))
    assert name.removeprefix("collections.abc.") in message
    assert "nothing in the file was executed" in message
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    "payload",
    [
        STACK_GLOBAL,
        INSTANCE,
        OBJECT,
        b"N" + b"Q",  # persistent id by value
        b"Pos.system\n",  # and by line
        text("os") + b"N\x93",  # a global without a name
        text("\x1b[31mred\nline") + text("x") + b"\x93",  # a name that would colour the terminal
        b"\x81",
        named("dnnlib.util", "EasyDict") + b")}\x92",  # NEWOBJ_EX
        b"\x96" + struct.pack("<Q", 4) + b"1234",  # bytearray
        b"\x97",  # out-of-band buffer
    ],
)
def test_other_ways_to_call(file: Path, payload: bytes) -> None:
    refused(file, whole(payload))
    assert list(file.parent.iterdir()) == [file]


def test_extension_codes_are_refused_even_if_registered(file: Path) -> None:
    copyreg.add_extension("os", "system", 0xF0)  # type: ignore[no-untyped-call]
    try:
        message = refused(file, whole(b"\x82\xf0(" + RUN + b"tR"))
    finally:
        copyreg.remove_extension("os", "system", 0xF0)  # type: ignore[no-untyped-call]
    assert "EXT1" in message
    assert list(file.parent.iterdir()) == [file]


def test_the_source_code_in_a_snapshot_is_not_executed(golden: Path) -> None:
    """Every recorded network carries source that raises."""
    content = (golden / "conditional-32.pkl").read_bytes()
    assert content.count(b"raise ") > 0
    assert sorted(read_snapshot(golden / "conditional-32.pkl")) == ["D", "G", "G_ema"]


class Payload:
    def __reduce__(self) -> Any:
        return exec, ("open('executed', 'w')",)


def torch_file(zipped: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(Payload(), buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


@pytest.mark.parametrize("payload", [pickle.dumps(Payload()), torch_file(True), torch_file(False), b"", b"x" * 99])
def test_nested_payloads_are_not_executed(file: Path, payload: bytes) -> None:
    refused(file, whole(loaded(payload)))
    assert list(file.parent.iterdir()) == [file]


def test_nested_globals_are_named(file: Path) -> None:
    assert "exec" in refused(file, whole(loaded(torch_file(False))))


@pytest.mark.parametrize(
    "target",
    [
        named("builtins", "set"),
        named("collections", "OrderedDict"),
        named("dnnlib.util", "EasyDict"),
        named("numpy", "dtype"),
        named("torch.storage", "_load_from_bytes"),
        loaded(storage(torch.ones(3))),
        tensor(loaded(storage(torch.ones(3))), 0, integers(3), integers(1)),
        call("torch_utils.persistence", "_reconstruct_persistent_obj", b"}" + text("state") + b"}s"),
        call("collections", "OrderedDict"),
    ],
)
@pytest.mark.parametrize("state", [b"}" + text("state") + text("evil") + b"s", b"N}" + text("get") + b"Ns\x86"])
def test_attributes_cannot_be_changed(file: Path, golden: Path, target: bytes, state: bytes) -> None:
    refused(file, whole(target, state, b"b"))
    read_generator(golden / "unconditional-32.pkl")  # later reads are as before


# --- tensors and numbers ------------------------------------------------------------------------------------

FOUR = loaded(storage(torch.arange(4.0)))


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, integers(5), integers(1)),
        (1, integers(4), integers(1)),
        (-1, integers(2), integers(1)),
        (3, integers(2), integers(-1)),
        (0, integers(1 << 30), integers(0)),
        (0, integers(2, 2), integers(4, 1)),
        (0, integers(2, 2), integers(1)),
        (0, integers(1 << 62, 1 << 62), integers(0, 0)),
        (0, integers(*[1] * 5000), integers(*[1] * 5000)),
        (0, integers(0, 1 << 62), integers(1, 1)),
        (0, b"N", integers(1)),
        (0, text("4"), text("1")),
        (1 << 70, integers(1), integers(1)),
    ],
)
def test_tensors_stay_inside_their_numbers(file: Path, offset: int, size: bytes, stride: bytes) -> None:
    message = refused(file, whole(tensor(FOUR, offset, size, stride)))
    assert "a tensor" in message or "not a complete" in message


@pytest.mark.parametrize(
    "payload",
    [
        storage(torch.ones(4), claimed=5),
        storage(torch.ones(4), claimed=1 << 60),
        storage(torch.ones(4), kind="HalfStorage"),
        storage(torch.ones(4), kind="QUInt8Storage"),
        storage(torch.ones(4))[:-1],
        storage(torch.ones(4)) + b"x",
    ],
)
def test_storages_must_hold_what_they_claim(file: Path, payload: bytes) -> None:
    refused(file, whole(loaded(payload)))


@pytest.mark.parametrize("form", ["O", "O8", "V8", "f16", "U4", "(2,)f8", "f8,f8", "c16", "f\u0668"])
def test_number_formats_are_plain(file: Path, form: str) -> None:
    assert "number format" in refused(file, whole(call("numpy", "dtype", text(form), b"\x89", b"\x88")))


@pytest.mark.parametrize("wrong", [b"N", b"}", text("x"), integer(5), b")"])
@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("torch_utils.persistence", "_reconstruct_persistent_obj"),
        ("torch.storage", "_load_from_bytes"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("numpy", "dtype"),
        ("numpy.core.multiarray", "scalar"),
    ],
)
def test_wrong_types(file: Path, module: str, name: str, wrong: bytes) -> None:
    for count in range(5):
        refused(file, whole(call(module, name, *[wrong] * count)))


# --- bombs --------------------------------------------------------------------------------------------------


def nested_tuples() -> bytes:
    deep = b")" + b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(60))
    return b"}" + deep + b"Ns"


BOMBS = {
    "an index that sizes a table": (b"Nr" + struct.pack("<I", 0xFFFFFFF0), "without networks"),
    "tuples that take for ever to hash": (nested_tuples(), "keys are not text"),
    "bytes that are not there": (b"\x8e" + struct.pack("<Q", 1 << 40) + b"x", "not a complete"),
    "a frame that is not there": (b"\x95" + struct.pack("<Q", 1 << 60) + b"N", "without networks"),
    "a deep list": (b"]" * 200_000 + b"a" * 199_999, "without networks"),
    "numbers read often": (
        binary(storage(torch.zeros(1 << 20)))
        + b"q\x00"
        + (named("torch.storage", "_load_from_bytes") + b"h\x00\x85R") * 2000,
        "again and again",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_small_files_end_and_take_little_memory(file: Path, name: str) -> None:
    content, said = BOMBS[name]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert said in refused(file, whole(content))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10  # KiB


def at(network: PersistentObject, *names: str) -> PersistentObject:
    for name in names:
        network = network.child(name)
    return network


def test_modules_that_hold_one_another(file: Path, ema: PersistentObject) -> None:
    """`written` cannot write a cycle, so one is put in the place of a mark."""
    at(ema, "synthesis").state["_modules"]["again"] = "MODULE"
    content = snapshot(G_ema=ema)
    inner = call("torch_utils.persistence", "_reconstruct_persistent_obj", b"}q\xf0" + text("state") + b"}q\xf1s")
    closed = b"h\xf1" + text("_modules") + b"}" + text("me") + b"h\xf2ss"
    cycle = call("torch._utils", "_rebuild_parameter", inner + b"q\xf2", closed)
    assert content.count(text("MODULE")) == 1
    message = refused(file, content.replace(text("MODULE"), cycle))
    assert "hold one another" in message


# --- layouts ------------------------------------------------------------------------------------------------


def as_stylegan3_release(network: PersistentObject) -> None:
    """Arguments of the constructor flat, and a clamp."""
    given = network.state["_init_kwargs"]
    given.update(given.pop("synthesis_kwargs"))
    for block in at(network, "synthesis").state["_modules"].values():
        for layer in block.state["_modules"].values():
            layer.state["conv_clamp"] = 256


def test_stylegan2_in_the_layout_of_the_stylegan3_release(file: Path, golden: Path, ema: PersistentObject) -> None:
    before = read_generator(golden / "conditional-32.pkl")
    as_stylegan3_release(ema)
    after = read_generator(put(file, snapshot(G_ema=ema, training_set_kwargs={"path": "x"}, augment_pipe=None)))
    assert after.config.conv_clamp == 256.0
    assert type(after.config.conv_clamp) is float
    z, classes = torch.randn(3, 64), torch.tensor([1, 2, 3])
    with torch.no_grad():
        assert torch.equal(before(z, classes), after(z, classes))  # all activations are below the clamp


def test_arguments_given_by_position(file: Path, golden: Path, ema: PersistentObject) -> None:
    ema.state["_init_args"] = tuple(ema.state["_init_kwargs"].values())
    ema.state["_init_kwargs"] = {}
    assert (
        read_generator(put(file, snapshot(G_ema=ema))).config
        == read_generator(golden / "conditional-32.pkl").config
    )


def test_half_precision_weights_are_read_as_float32(file: Path, ema: PersistentObject) -> None:
    weights = at(ema, "synthesis", "b4").state["_parameters"]
    weights["const"] = weights["const"].half()
    const = read_generator(put(file, snapshot(G_ema=ema))).synthesis.get_submodule("b4").const
    assert const.dtype == torch.float32


VARIANTS: dict[str, Callable[[PersistentObject], None]] = {
    "architecture is 'resnet'": lambda g: at(g, "synthesis", "b8").state.update(architecture="resnet"),
    "use_noise is False": lambda g: at(g, "synthesis", "b8", "conv0").state.update(use_noise=False),
    "activation is 'relu'": lambda g: at(g, "synthesis", "b8", "conv0").state.update(activation="relu"),
    "activation is 'linear'": lambda g: at(g, "mapping", "fc0").state.update(activation="linear"),
    "bias_gain is 1.0": lambda g: at(g, "mapping", "fc1").state.update(bias_gain=1.0),
    "conv_clamp is -1.0": lambda g: at(g, "synthesis", "b32", "conv1").state.update(conv_clamp=-1),
    "conv_clamp is nan": lambda g: at(g, "synthesis", "b32", "conv1").state.update(conv_clamp=math.nan),
    "z_dim is True": lambda g: at(g, "mapping").state.update(z_dim=True),
    "w_dim is [": lambda g: at(g, "mapping").state.update(w_dim=[[]] * 9999),
    "num_layers|mapping_layers is 1048576": lambda g: at(g, "mapping").state.update(num_layers=1 << 20),
    "not the filter": lambda g: (
        at(g, "synthesis", "b8").state["_buffers"].update(resample_filter=torch.ones(4, 4))
    ),
    "mapping.fc1.bias is missing": lambda g: at(g, "mapping", "fc1").state["_parameters"].pop("bias"),
    "belongs to another kind": lambda g: at(g, "mapping").state["_buffers"].update(extra=torch.ones(1)),
    "w_avg has shape": lambda g: at(g, "mapping").state["_buffers"].update(w_avg=torch.ones(3)),
    "w_avg has values": lambda g: at(g, "mapping").state["_buffers"].update(w_avg=torch.full((64,), math.nan)),
    "w_avg is of torch.int64": lambda g: at(g, "mapping").state["_buffers"].update(w_avg=torch.ones(64).long()),
    "the module 'x' is none": lambda g: at(g, "mapping").state["_modules"].update(x={}),
    "not a StyleGAN2 network": lambda g: g.state["_modules"].pop("mapping"),
    "(not a StyleGAN2 network)": lambda g: g.state.update(_modules=[1]),
    "not a StyleGAN2 network as": lambda g: at(g, "synthesis").state.update(img_resolution="32"),
}


@pytest.mark.parametrize("said", VARIANTS)
def test_variants_are_refused_by_name(file: Path, ema: PersistentObject, said: str) -> None:
    VARIANTS[said](ema)
    assert said.split("|")[-1].strip("()") in refused(file, snapshot(G_ema=ema))


def test_two_tensors_on_one_storage(file: Path, ema: PersistentObject) -> None:
    marked = torch.full((64,), 0.123)
    at(ema, "mapping", "fc0").state["_parameters"]["bias"] = marked
    at(ema, "mapping", "fc1").state["_parameters"]["bias"] = marked
    content, once = snapshot(G_ema=ema), written(marked)
    assert content.count(once) == 2
    first, rest = content.split(once, 1)
    content = first + once + b"q\xf9" + rest.replace(once, b"h\xf9")
    assert "share their numbers" in refused(file, content)


STYLEGAN3 = PersistentObject(
    "Generator",
    {
        "z_dim": 64,
        "_init_kwargs": {"class_name": "training.networks_stylegan3.Generator"},
        "_modules": {
            "mapping": PersistentObject("MappingNetwork", {"z_dim": 64, "c_dim": 0, "w_dim": 64, "num_layers": 2}),
            "synthesis": PersistentObject(
                "SynthesisNetwork",
                {"img_resolution": 32, "_modules": {"input": PersistentObject("SynthesisInput", {"channels": 8})}},
            ),
        },
    },
)
OTHER_FILES = {
    "empty": (b"", "cut short|not a complete"),
    "text": (b"hello, this is no network at all\n", "not a complete"),
    "stylegan3": (snapshot(G_ema=STYLEGAN3), "not a StyleGAN2 network"),
    "tensorflow": (whole(call("dnnlib.tflib.network", "Network")), "dnnlib.tflib.network.Network"),
    "number": (pickle.dumps(5), "without networks"),
    "table": (pickle.dumps({"a": [1, 2], "b": (3.5, None)}), "without networks"),
    "no ema": (snapshot(G=STYLEGAN3), "holds no network `G_ema`"),
}


@pytest.mark.parametrize("name", OTHER_FILES)
def test_other_files(file: Path, name: str) -> None:
    content, said = OTHER_FILES[name]
    message = refused(file, content)
    assert any(part in message for part in said.split("|"))


def test_a_zip_archive_and_a_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.pkl", "w") as archive:
        archive.writestr("a", b"b")
    for path in (tmp_path / "x.pkl", tmp_path, tmp_path / "absent.pkl"):
        with pytest.raises(BadInput, match=str(path)):
            read_generator(path)


# --- damage -------------------------------------------------------------------------------------------------


def read_or_refuse(path: Path, content: bytes) -> bool:
    """Whether it was read; anything but a network or BadInput is an error."""
    put(path, content)
    try:
        read_generator(path)
    except BadInput as error:
        assert str(path) in str(error)
        return False
    return True


def test_truncation_at_every_percent(file: Path, golden: Path) -> None:
    content = (golden / "unconditional-32.pkl").read_bytes()
    assert not any(read_or_refuse(file, content[: len(content) * i // 100]) for i in range(100))
    assert not read_or_refuse(file, content[:-1])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4))
def test_flipped_bytes(file: Path, golden: Path, flips: list[tuple[float, int]]) -> None:
    content = bytearray((golden / "unconditional-32.pkl").read_bytes())
    for where, mask in flips:
        content[int(where * len(content))] ^= mask
    read_or_refuse(file, bytes(content))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.randoms(use_true_random=False))
def test_flipped_instructions(file: Path, seed: Any) -> None:
    """Most bytes of a real file are weights; this small one is nearly all instructions."""
    content = bytearray(snapshot(G_ema=STYLEGAN3, x=torch.ones(2), y=0.5))
    for _ in range(seed.randint(1, 3)):
        content[seed.randrange(len(content))] = seed.randrange(256)
    read_or_refuse(file, bytes(content))
    assert list(file.parent.iterdir()) == [file]
