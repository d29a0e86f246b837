"""How samples of WebDataset shards tell their class: the conventions that circulate; the rest is refused."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sface_data.dataset.shard_reader import Entry
from sface_data.errors import BadInput
from sface_data.faces.base import Label
from sface_data.io.files import PiecedFile, parse_json
from sface_data.io.images import EXTENSIONS

LABEL_FIELDS = ("label", "class_name", "class", "class_index", "identity", "cls")
_FIELDS = (
    *LABEL_FIELDS,
    "class_id",
    "label_id",
    "identity_id",
    "person",
    "person_id",
    "subject",
    "subject_id",
    "id",
)
_KINDS = ("txt", "npy", "json")  # how a member called by one of the fields may hold its label: `label.npy`
_MOST_WORDS = 4  # of a name; a caption has more
_MOST_BYTES = 1 << 20  # of a member with a label


@dataclass(frozen=True)
class Labels:
    """How all samples of a set tell their class.

    Attributes:
        of: the class of a sample.
        where: names it in errors.
        guessed: nothing but a name says that this is a class, so that classes of one image each show it is none.
    """

    of: Callable[[Entry, PiecedFile], Label]
    where: str
    guessed: bool = False


def find_labels(entry: Entry, file: PiecedFile) -> Labels:
    """How the samples of a set tell their class, going by its first one.

    By a member called `cls`, `label`, `class`, `identity`, ... (`.cls`, `.label.cls`, `.label.txt`, `.label.npy`);
    else a `.npy` of one number; else its `json`, a label or with a field called so (`id` last); else its `txt`;
    else the folder right over the image in its key (`NAME/0001`); else its key up to the last `_` (`NAME_0001`).

    Raises:
        BadInput: if it is none of these; the sentence says what was found.
    """
    extension = _label_member(entry, file)
    if extension is not None:
        return Labels(lambda entry, file: _in_member(entry, file, extension), f"its .{extension}")
    if "json" in entry.members:
        value = _json(entry, file)
        if _as_label(value) is not None:
            return Labels(lambda entry, file: _in_json(entry, file, None), "its .json")
        fields = value if isinstance(value, dict) else {}
        name = next((name for name in _FIELDS if _as_label(fields.get(name)) is not None), None)
        if name is not None:
            return Labels(lambda entry, file: _in_json(entry, file, name), f"{name!r} in its .json", name == "id")
    if "txt" in entry.members:
        return Labels(_in_txt, "its .txt", guessed=True)
    separator = "/" if "/" in entry.key else "_"
    others = sorted(name for name in entry.members if name.rpartition(".")[2] not in EXTENSIONS)
    if separator not in entry.key or (separator == "_" and others):
        found = f"its other members are {', '.join(others)}" if others else "it has no other member"
        raise BadInput(
            f"{file.path}: the sample {entry.key!r} does not tell its class: {found}, and its key alone does not "
            "tell; say it in a member .cls, or as `label` in its .json"
        )
    return Labels(lambda entry, file: _in_key(entry, file, separator), f"its key up to the last {separator!r}")


def check_labels(path: Path, found: Labels, labels: Sequence[Label], keys: Sequence[str]) -> None:
    """Whether what was taken for classes can be classes.

    Raises:
        BadInput: if they are captions or names of samples; if folders of one name lie in different ones.
    """
    all_differ = len(labels) > 2 and len(set(labels)) == len(labels)
    if found.guessed and all_differ:
        raise BadInput(
            f"{path}: {found.where} is different in each of its {len(labels)} samples, so it is no class; say the "
            "class of each in a member .cls, or as `label` in its .json"
        )
    if found.where.endswith("'/'"):
        _check_folders(path, keys)


def check_not_shards(path: Path, found: Labels, labels_of_shard: Sequence[tuple[Path, set[Label]]]) -> None:
    """Raises BadInput if the beginnings of keys are the numbers of the shards (`SHARD_SAMPLE`), not classes."""
    if not found.where.endswith("'_'"):
        return
    if all(labels == {_first_number(shard, labels)} for shard, labels in labels_of_shard):
        raise BadInput(
            f"{path}: its keys begin with the number of the shard, and nothing else tells the class; say it in a "
            "member .cls, or as `label` in its .json"
        )


def _first_number(shard: Path, labels: set[Label]) -> Label | None:
    """The label of a shard that is the number at the end of its name, however many zeros are before either."""
    number = shard.stem[len(shard.stem.rstrip("0123456789")) :].lstrip("0")
    return next((label for label in labels if str(label).isdecimal() and str(label).lstrip("0") == number), None)


def _check_folders(path: Path, keys: Sequence[str]) -> None:
    over: dict[str, str] = {}
    for key in keys:
        folder = key.rpartition("/")[0]
        name = folder.rpartition("/")[2]
        if over.setdefault(name, folder) != folder:
            raise BadInput(
                f"{path}: two folders are called {name!r}: {over[name]} and {folder}; whether they are one class "
                "cannot be known, so say it in a member .cls"
            )


def _label_member(entry: Entry, file: PiecedFile) -> str | None:
    """The extension of the member that holds the label and nothing else, if there is one."""
    found = [name for name in entry.members if _is_called_label(name)]
    if len(found) > 1:
        found = [name for name in found if name == "cls"] or found
    if len(found) > 1:
        raise BadInput(
            f"{file.path}: the sample {entry.key!r} has several labels, {', '.join(found)}; keep one of them"
        )
    if not found and "npy" in entry.members and _array(entry, file, "npy").size == 1:
        return "npy"
    return found[0] if found else None


def _is_called_label(extension: str) -> bool:
    *before, last = extension.split(".")
    return last in _FIELDS or (bool(before) and before[-1] in _FIELDS and last in _KINDS)


def _read(entry: Entry, file: PiecedFile, extension: str) -> bytes:
    member = entry.members.get(extension)
    if member is None:
        raise BadInput(f"{file.path}: the sample {entry.key!r} has no member {extension!r}, as the first one has")
    if member.size > _MOST_BYTES:
        raise BadInput(f"{file.path}: the {extension} of the sample {entry.key!r} is too large for a label")
    return file.read(member.offset, member.size)


def _text(entry: Entry, file: PiecedFile, extension: str) -> str:
    return _read(entry, file, extension).decode(errors="replace").strip()


def _in_member(entry: Entry, file: PiecedFile, extension: str) -> Label:
    kind = extension.rpartition(".")[2]
    if kind == "json":
        label = _as_label(_json(entry, file, extension))
    elif kind == "npy":
        array = _array(entry, file, extension)
        label = _as_label(array.reshape(-1)[0].item()) if array.size == 1 else None
    else:
        text = _text(entry, file, extension)
        label = _as_number(text)
        if label is None and kind != "cls" and text:
            label = text
    if label is None:
        text = _text(entry, file, extension)
        raise BadInput(
            f"{file.path}: the {extension} of the sample {entry.key!r} is {text[:40]!r}, not a class number"
        )
    return label


def _in_txt(entry: Entry, file: PiecedFile) -> Label:
    text = _text(entry, file, "txt")
    if not text:
        raise BadInput(f"{file.path}: the txt of the sample {entry.key!r} is empty; it should name its class")
    if len(text.split()) > _MOST_WORDS:
        raise BadInput(
            f"{file.path}: the txt of the sample {entry.key!r} is {text[:40]!r}, a caption and not a class; say "
            "the class in a member .cls, or as `label` in its .json"
        )
    return text


def _json(entry: Entry, file: PiecedFile, extension: str = "json") -> Any:
    try:
        return parse_json(_text(entry, file, extension))
    except ValueError as error:
        raise BadInput(f"{file.path}: the {extension} of the sample {entry.key!r} is broken ({error})") from error


def _in_json(entry: Entry, file: PiecedFile, name: str | None) -> Label:
    value = _json(entry, file)
    label = _as_label(value if name is None else value.get(name) if isinstance(value, dict) else None)
    if label is None:
        what = "is no number or name" if name is None else f"has no number or name as {name!r}"
        raise BadInput(f"{file.path}: the json of the sample {entry.key!r} {what}")
    return label


def _in_key(entry: Entry, file: PiecedFile, separator: str) -> Label:
    before, found, _ = entry.key.rpartition(separator)
    if not found:
        raise BadInput(
            f"{file.path}: the sample {entry.key!r} does not tell its class: no {separator!r} in its key, as in "
            "that of the first one"
        )
    return before.rpartition("/")[2]


def _as_label(value: object) -> Label | None:
    """A number or a name as a class; None if it is neither."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() and 0 <= value < 1 << 53 else None
    return None if value == "" else value


def _as_number(text: str) -> int | None:
    """A class number: decimal digits, also as a float that has none after its point."""
    whole, _, after = text.partition(".")
    if not (whole.isascii() and whole.isdecimal()) or len(whole) > 18 or after.strip("0"):
        return None
    return int(whole)


def _array(entry: Entry, file: PiecedFile, extension: str) -> Any:
    """The array in a member; nothing is unpickled."""
    data = _read(entry, file, extension)
    try:
        return np.load(io.BytesIO(data), allow_pickle=False)
    except Exception as error:  # NumPy reads the header as Python and raises whatever that comes to
        raise BadInput(f"{file.path}: the {extension} of the sample {entry.key!r} is no array") from error
