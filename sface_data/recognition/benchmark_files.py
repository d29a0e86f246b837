"""What is in the files of benchmarks: `.bin` files, read as data, and pairs lists."""

import csv
import io
import re
import reprlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from sface_data.errors import BadInput
from sface_data.io.files import MAX_ARRAYS, is_file, read_bytes
from sface_data.io.images import EXTENSIONS
from sface_data.io.pickles import Functions, NumberFormat, NumberList, Refused, read_number, read_pickle
from sface_data.recognition.pairs_table import image_columns

_COUNT = re.compile("[0-9]{1,9}")
_LABELS = {"0": False, "1": True, "false": False, "true": True}  # in lists of pairs

# --- .bin ---------------------------------------------------------------------------------------------------


def _named_only(*_: object) -> None:
    raise Refused("a call of a type")  # numpy.ndarray stands in a file as an argument only


def _functions(budget: int) -> Functions:
    """What the names in a benchmark stand for.

    Args:
        budget: bytes that they may make in all.
    """

    def encode(text: object, codec: object, *_: object) -> bytes:
        """Bytes as protocol 2 of Python 3 writes them. The same text can be named often, hence the budget."""
        nonlocal budget
        if not (isinstance(text, str) and codec in ("latin1", "latin-1", b"latin1")):
            raise Refused("bytes in an unusual code")
        budget -= len(text)
        if budget < 0:
            raise Refused("the same bytes again and again")
        return text.encode("latin-1")

    def as_bytes(*arguments: object) -> bytes:
        """What `bytes` and `bytearray` make of nothing, of bytes, and of text and its code."""
        if not arguments:
            return b""
        if not isinstance(arguments[0], (bytes, str)):
            raise Refused("builtins.bytearray of something else than bytes")
        return arguments[0] if isinstance(arguments[0], bytes) else encode(*arguments, None)

    functions: dict[tuple[str, str], Any] = {
        ("_codecs", "encode"): encode,
        ("__builtin__", "bytes"): as_bytes,
        ("__builtin__", "bytearray"): as_bytes,
        ("builtins", "bytearray"): as_bytes,
        ("numpy", "dtype"): NumberFormat,
        ("numpy", "ndarray"): _named_only,
    }
    for core in ("numpy.core", "numpy._core"):
        functions[f"{core}.multiarray", "scalar"] = read_number
        functions[f"{core}.multiarray", "_reconstruct"] = NumberList
        functions[f"{core}.numeric", "_frombuffer"] = NumberList.of_buffer
    return functions


def read_bin(path: Path) -> tuple[list[bytes], list[bool]]:
    """The encoded images and the labels in a `.bin` file.

    Raises:
        BadInput: if it cannot be read, is cut short, is no benchmark, or holds anything that a benchmark has no
            need of. Nothing in it has been executed then either.
    """
    data = read_bytes(path, MAX_ARRAYS)
    if not data:
        raise BadInput(f"{path}: empty; get the file again")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # names with odd escapes, which are refused
        try:
            content = read_pickle(io.BytesIO(data), _functions(budget=len(data)))
        except Refused as error:
            raise BadInput(
                f"{path}: refused, because it holds {error}, which a benchmark has no need of; nothing in the "
                "file was executed"
            ) from error
        except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
            raise BadInput(
                f"{path}: cut short, or no benchmark (a pickle of images and of booleans); get the file again "
                "(nothing in it was executed)"
            ) from error
    if not (isinstance(content, (tuple, list)) and len(content) == 2):
        raise BadInput(f"{path}: no benchmark; it must hold two lists, of encoded images and of booleans")
    images, issame = content
    if not (isinstance(images, (tuple, list)) and isinstance(issame, (tuple, list, NumberList))):
        raise BadInput(f"{path}: no benchmark; it must hold two lists, of encoded images and of booleans")
    labels = issame.numbers.tolist() if isinstance(issame, NumberList) else issame
    return [_image(path, *entry) for entry in enumerate(images)], [
        _label(path, *entry) for entry in enumerate(labels)
    ]


def entry(index: int) -> str:
    """What errors call the image of that index."""
    return f"image {index % 2 + 1} of pair {index // 2 + 1}"


def _image(path: Path, index: int, value: object) -> bytes:
    if isinstance(value, NumberList) and value.numbers.dtype == np.uint8:
        return value.data
    if not isinstance(value, bytes):
        raise BadInput(f"{path}: {entry(index)} is {_kind(value)}, not an encoded image; get the file again")
    return value


def _label(path: Path, index: int, value: object) -> bool:
    if not (isinstance(value, int) and value in (0, 1)):
        raise BadInput(
            f"{path}: the label of pair {index + 1} is {_kind(value)}, neither true nor false; get the file again"
        )
    return bool(value)


def _kind(value: object) -> str:
    if isinstance(value, NumberList):
        return "an array of numbers"
    return reprlib.repr(value) if isinstance(value, (int, float, str, type(None))) else f"a {type(value).__name__}"


# --- pairs lists --------------------------------------------------------------------------------------------


def read_list(path: Path, folder: Path) -> tuple[list[Path], list[bool]]:
    """The files of images and the labels in a pairs list.

    Args:
        folder: that paths in the list start from.

    Raises:
        BadInput: if it cannot be read, a line is not understood, or an image is not there.
    """
    data = read_bytes(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not text in UTF-8; save it as such") from error
    if "\0" in text:
        raise BadInput(f"{path}: not text; a pairs list is expected")
    lines = [
        (number, line.strip())
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.startswith("#")
    ]
    if not lines:
        raise BadInput(f"{path}: no pairs in it")
    counts = lines[0][1].split()
    header = _fields(lines[0][1])
    if len(counts) <= 2 and all(_COUNT.fullmatch(count) for count in counts):
        pairs = [_lfw_pair(path, folder, *line) for line in lines[1:]]
        expected = 2 * int(counts[-1]) * (int(counts[0]) if len(counts) == 2 else 1)
        if len(pairs) != expected:
            raise BadInput(f"{path}: {len(pairs):,} pairs, but its first line promises {expected:,}")
    elif header[0].lower() == "name":  # the lists of LFW as tables of comma-separated values
        pairs = [_lfw_pair(path, folder, *line) for line in lines[1:]]
    else:
        columns = image_columns(path, header)
        if columns is not None:
            lines = lines[1:]
        pairs = [_plain_pair(path, folder, columns or (0, 1, 2), len(header), *line) for line in lines]
    return [image for pair in pairs for image in pair[:2]], [pair[2] for pair in pairs]


def _lfw_pair(path: Path, folder: Path, number: int, line: str) -> tuple[Path, Path, bool]:
    """`name n1 n2`, or `name1 n1 name2 n2`."""
    fields = _fields(line)
    match fields:
        case [name, first, second]:
            people = (name, name)
        case [name, first, other, second]:
            people = (name, other)
        case _:
            first = second = ""
    if not (_COUNT.fullmatch(first) and _COUNT.fullmatch(second)):
        raise BadInput(f"{path}: line {number} is neither `name n1 n2` nor `name1 n1 name2 n2`")
    images = [
        _find_image(path, folder, number, f"{person}/{person}_{int(count):04d}")
        for person, count in zip(people, (first, second), strict=True)
    ]
    return images[0], images[1], len(fields) == 3


def _find_image(path: Path, folder: Path, number: int, name: str) -> Path:
    for extension in ("jpg", "png", *sorted(EXTENSIONS - {"jpg", "png"})):
        if is_file(image := folder / f"{name}.{extension}"):
            return image
    raise BadInput(f"{path}: line {number} needs {folder / name}.jpg, which is not there; put the images there")


def _plain_pair(
    path: Path, folder: Path, columns: tuple[int, int, int], width: int, number: int, line: str
) -> tuple[Path, Path, bool]:
    """`path1 path2 0/1` in these columns of so many, with commas, tabs or spaces between."""
    fields = _fields(line)
    first, second, same = columns
    if len(fields) != max(width, 3) or (label := _LABELS.get(fields[same].lower())) is None:
        raise BadInput(f"{path}: line {number} is not `path1 path2 0` or `path1 path2 1`")
    images = [folder / fields[place] for place in (first, second)]
    for image in images:
        if not is_file(image):
            raise BadInput(f"{path}: line {number} names {image}, which is not there")
    return images[0], images[1], label


def _fields(line: str) -> list[str]:
    """What stands in a line between commas, tabs or spaces; empty fields at the end of a table's row are none."""
    if "," not in line:
        return [field.strip() for field in line.split("\t" if "\t" in line else None)]
    try:
        (fields,) = csv.reader([line.rstrip(",")], skipinitialspace=True)
    except csv.Error:  # a field of more than 131,072 characters
        return [line]
    return [field.strip() for field in fields] or [line]
