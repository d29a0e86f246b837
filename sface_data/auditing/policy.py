"""What a release must show to be certified: the limits of the checks, in TOML that people edit."""

import difflib
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sface_data.errors import BadInput
from sface_data.io.files import cards_folder, is_file, read_toml, sha256_of_json

# Every check that a policy may ask for, in the order of certificates. `checks.run` has what they measure.
CHECKS = (
    "same-label-auc",
    "same-label-eer",
    "same-label-ratio-1e-3",
    "same-label-ratio-1e-4",
    "same-label-ratio-1e-5",
    "nearest-neighbour-1e-2",
    "nearest-neighbour-1e-3",
    "near-duplicates",
    "nearest-view",
    "same-kind",
    "near-duplicates-pixels",
    "identical-files",
    "nearest-person",
    "linkage-image-rank-1",
    "linkage-image-rank-5",
    "linkage-image-rank-10",
    "linkage-class-rank-1",
    "linkage-class-rank-5",
    "linkage-class-rank-10",
    "exposure",
    "membership-auc",
    "membership-tpr",
    "known-judges",
)
NAMES = ("strict", "standard", "paper")
# What those that ship demand: a file that was edited is none of them. A test compares.
_SHIPPED = {
    "strict": "0ec4b12a44081889ef449ec7bd5d95f52ea2f4cf36be8bcfd6a051ad7f6925b3",
    "standard": "c7b0a7775064b853c7deb242ac01b96a447c18d0dde2845fc26f1094cb0800e4",
    "paper": "e643b76dde7ef539eaf702de6fc2152925e35f0063692aa85a8f72ed2ecd87d9",
}
_FORMAT = "sface-data policy 1"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}")  # it stands in cards and pages


@dataclass(frozen=True)
class Limit:
    """Of one check: its claim holds up to `limit`; a certificate passes only with those that are `needed`."""

    limit: float
    needed: bool


@dataclass(frozen=True)
class PositiveControl:
    """What must be found when it is planted.

    Attributes:
        trace, share: planted images as shares of the release: with the first no check may pass, with the second
            each must fail.
        caught: in which share of trials.
    """

    trace: float
    share: float
    caught: float


@dataclass(frozen=True)
class Policy:
    """The checks of an audit and their limits.

    Attributes:
        judge_auc: within training; what a judge below it finds counts for nothing.
        release_auc: within the release; a judge below it cannot say that nothing is there.
    """

    name: str
    summary: str
    judge_auc: float
    release_auc: float
    positive_control: PositiveControl | None
    checks: dict[str, Limit]

    @property
    def needed(self) -> frozenset[str]:
        """Checks without which the certificate does not pass."""
        return frozenset(name for name, limit in self.checks.items() if limit.needed)

    def to_json(self) -> dict[str, Any]:
        """As it stands in the certificate; comments are not part of it."""
        control = self.positive_control
        return {
            "format": _FORMAT,
            "name": self.name,
            "summary": self.summary,
            "judge": {"auc": self.judge_auc, "release-auc": self.release_auc},
            "positive-control": None if control is None else vars(control),
            "checks": {name: vars(limit) for name, limit in self.checks.items()},
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Policy":
        """What `to_json` gave. Raises BadInput if anything is unknown, missing or out of range."""
        return _parse({key: each for key, each in value.items() if (key, each) != ("positive-control", None)})

    @property
    def shipped(self) -> bool:
        """Whether it is one of those that ship, as it ships."""
        return _SHIPPED.get(self.name) == self.sha256

    @property
    def sha256(self) -> str:
        """Digest of what it demands."""
        return sha256_of_json(self.to_json())


def load_policy(name_or_path: str) -> Policy:
    """A policy that ships (`strict`, `standard`, `paper`), or that of a file.

    Raises:
        BadInput: if the file cannot be read, or anything in it is unknown, missing or out of range, or it has the
            name of one that ships and demands something else.
    """
    path = policy_path(name_or_path) if name_or_path in NAMES else Path(name_or_path)
    if name_or_path not in NAMES and not is_file(path):
        raise BadInput(f"{path}: no such policy; give one of {', '.join(NAMES)}, or a TOML file")
    value = read_toml(path)
    try:
        policy = _parse(value)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    if policy.name in NAMES and not policy.shipped:
        raise BadInput(f"{path}: is not the {policy.name!r} that ships; give it a `name` of its own")
    return policy


def policy_path(name: str) -> Path:
    """Where a policy that ships lies."""
    return cards_folder() / "policies" / f"{name}.toml"


def _parse(value: dict[str, Any]) -> Policy:
    _only(value, "the policy", ("format", "name", "summary", "judge", "checks"), ("positive-control",))
    if value["format"] != _FORMAT:
        raise BadInput(f"its format is {value['format']!r}; this version reads {_FORMAT!r}")
    for name in ("name", "summary"):
        if not isinstance(value[name], str) or not value[name]:
            raise BadInput(f"`{name}` should be a text")
    if not _NAME.fullmatch(value["name"]):
        raise BadInput("`name` should be letters, digits, spaces and . _ -, at most 60")
    judge = _only(value["judge"], "[judge]", ("auc", "release-auc"))
    control = None
    if "positive-control" in value:
        table = _only(value["positive-control"], "[positive-control]", ("trace", "share", "caught"))
        shares = {name: _number(table, name, "[positive-control]", 0.0, 1.0) for name in table}
        if not 0 < shares["trace"] <= shares["share"] or not shares["caught"]:
            raise BadInput("[positive-control] needs 0 < trace <= share, and caught above 0")
        control = PositiveControl(**shares)
    checks = _only(value["checks"], "[checks]", (), CHECKS)
    if not checks:
        raise BadInput("[checks] is empty; a policy that demands nothing certifies nothing")
    limits = {}
    for name in CHECKS:  # in this order, whatever that of the file
        if name in checks:
            where = f"[checks.{name}]"
            table = _only(checks[name], where, ("limit", "needed"))
            if not isinstance(table["needed"], bool):
                raise BadInput(f"`needed` of {where} should be true or false")
            limits[name] = Limit(_number(table, "limit", where, 0.0, math.inf), table["needed"])
    if not any(limit.needed for limit in limits.values()):
        raise BadInput("none of its checks is needed; a policy that demands nothing certifies nothing")
    aucs = {name: _number(judge, name, "[judge]", 0.5, 1.0) for name in judge}
    for name, auc in aucs.items():
        if auc <= 0.5:
            raise BadInput(f"`{name}` of [judge] should be above 0.5, which is that of a judge that guesses")
    return Policy(value["name"], value["summary"], aucs["auc"], aucs["release-auc"], control, limits)


def _only(value: Any, where: str, keys: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """The table, having these keys and no others."""
    if not isinstance(value, dict):
        raise BadInput(f"{where} should be a table")
    known = (*keys, *optional)
    for key in value:
        if key not in known:
            close = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
            raise BadInput(f"unknown key {key!r} in {where}; {hint}")
    for key in keys:
        if key not in value:
            raise BadInput(f"{key!r} is missing in {where}")
    return value


def _number(table: dict[str, Any], key: str, where: str, low: float, high: float) -> float:
    value = table[key]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        span = f"between {low:g} and {high:g}" if math.isfinite(high) else f"of at least {low:g}"
        raise BadInput(f"`{key}` of {where} should be a number {span}")
    if not math.isfinite(value):
        raise BadInput(f"`{key}` of {where} should be finite")
    return float(value)
