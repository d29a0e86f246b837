"""Signatures of certificates: Ed25519, with keys in PEM."""

import base64
import binascii
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sface_data.errors import BadInput
from sface_data.io.files import exists, read_bytes

SIGNATURE = "audit/certificate.sig"
_BYTES = 64  # of a signature


def load_private_key(path: Path) -> Any:
    """An Ed25519 key in a PEM file.

    Raises:
        BadInput: if there is none.
    """
    serialization, ed25519 = _cryptography()
    return _load_key(
        path,
        lambda data: serialization.load_pem_private_key(data, password=None),
        ed25519.Ed25519PrivateKey,
        "private key in PEM without a password; `openssl genpkey -algorithm ed25519` makes one",
    )


def load_public_key(path: Path) -> Any:
    """An Ed25519 public key in a PEM file.

    Raises:
        BadInput: if there is none.
    """
    serialization, ed25519 = _cryptography()
    return _load_key(
        path,
        serialization.load_pem_public_key,
        ed25519.Ed25519PublicKey,
        "public key in PEM; `openssl pkey -in KEY.pem -pubout` makes it from a private one",
    )


def _load_key(path: Path, read: Callable[[bytes], Any], kind: type, wanted: str) -> Any:
    data = read_bytes(path)
    try:
        key = read(data)
    except (ValueError, TypeError) as error:
        raise BadInput(f"{path}: no {wanted}") from error
    except _unsupported() as error:
        raise BadInput(f"{path}: a key of an unknown kind; it must be Ed25519") from error
    if not isinstance(key, kind):
        raise BadInput(f"{path}: not an Ed25519 key; `openssl genpkey -algorithm ed25519` makes one")
    return key


def signature(signed: bytes, private_key: Any) -> bytes:
    """The contents of a file with the signature of a certificate, in base64.

    Args:
        private_key: see `load_private_key`.
    """
    return base64.b64encode(private_key.sign(signed)) + b"\n"


def signature_problem(directory: Path, signed: bytes, key: Any | None) -> str:
    """What is wrong with the signature of a certificate, in words; without a key, whether it could be one."""
    path = directory / SIGNATURE
    if not exists(path):
        return "" if key is None else f"is not signed: there is no {SIGNATURE}"
    try:
        held = base64.b64decode(read_bytes(path).strip(), validate=True)
    except (binascii.Error, ValueError):  # BadInput is one of the latter
        held = b""
    if len(held) != _BYTES:
        return f"{SIGNATURE} is no signature, which is {_BYTES} bytes in base64"
    if key is None:
        return ""
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(held, signed)
    except InvalidSignature:
        return f"{SIGNATURE} is not its signature with the public key given"
    return ""


def _cryptography() -> tuple[Any, Any]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    return serialization, ed25519


def _unsupported() -> type[Exception]:
    from cryptography.exceptions import UnsupportedAlgorithm

    return UnsupportedAlgorithm
