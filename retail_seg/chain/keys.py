"""Keys that sign snapshots (Ed25519, RFC 8032): made, kept in a file of their owner alone, told apart by a fingerprint.

The private key is PEM (PKCS 8), under a passphrase where one is given; the public key is one line, `retail-seg:` and
43 characters, that can be read over the telephone line by its fingerprint. What is signed begins with a name of its
purpose, so that a signature of one thing is never one of another.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from retail_seg.errors import ChainError, MissingExtraError
from retail_seg.system.files import replace_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PREFIX = "retail-seg:"
#: A file of a key is smaller than this, in bytes.
_LARGEST = 4096


@dataclass(frozen=True)
class PublicKey:
    """Who signs: 32 bytes that anybody may have."""

    raw: bytes

    @classmethod
    def read(cls, text: str) -> PublicKey:
        """The key that a line says, or the file of that name; raises ChainError."""
        if not text.startswith(_PREFIX):
            text = _content(Path(text), "public key").decode(errors="replace")
        try:
            raw = base64.urlsafe_b64decode(text.strip().removeprefix(_PREFIX) + "=")
        except (binascii.Error, ValueError):
            raw = b""
        if not text.startswith(_PREFIX) or len(raw) != 32:
            raise ChainError(f"{text.strip()[:60]!r} is no public key; give the line that `retail-seg key show` prints")
        return cls(raw)

    def __str__(self) -> str:
        return _PREFIX + base64.urlsafe_b64encode(self.raw).decode().rstrip("=")

    @property
    def fingerprint(self) -> str:
        """What two people compare: 16 hexadecimal digits in fours."""
        digits = sha256(self.raw).hexdigest()[:16]
        return " ".join(digits[at : at + 4] for at in range(0, 16, 4))

    def signed(self, purpose: str, payload: bytes, signature: bytes) -> bool:
        """Whether this key's owner has signed these bytes for this purpose."""
        _needed()
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, _message(purpose, payload))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class Keys:
    """Public keys as lines: those that are trusted, and those that are no more."""

    trusted: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()

    def told(self, more: Keys) -> Keys:
        """These after somebody who is trusted has told of more; what was retired once stays so."""
        retired = tuple(dict.fromkeys((*self.retired, *more.retired)))
        both = dict.fromkeys((*self.trusted, *more.trusted))
        return Keys(tuple(key for key in both if key not in retired), retired)


@dataclass(frozen=True)
class SigningKey:
    """The private half, in memory while something is signed."""

    _key: Ed25519PrivateKey

    @property
    def public(self) -> PublicKey:
        """The half that everybody may have."""
        return PublicKey(self._key.public_key().public_bytes_raw())

    def sign(self, purpose: str, payload: bytes) -> bytes:
        """The signature (64 bytes) of some bytes for a purpose."""
        return self._key.sign(_message(purpose, payload))


def make_key(file: Path, passphrase: str = "") -> PublicKey:
    """Make a key in a new file that only its owner can read, and the public half beside it as `.pub`.

    Raises ChainError where there is a file already: a key that is lost cannot be made again.
    """
    _needed()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if file.exists():
        raise ChainError(f"{file}: is there already; shops trust it, so it is never overwritten: choose another name")
    key = Ed25519PrivateKey.generate()
    lock = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    data = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
    try:
        replace_file(file, data, private=True)
        replace_file(file.with_name(f"{file.name}.pub"), f"{SigningKey(key).public}\n".encode())
    except OSError as error:
        raise ChainError(f"{file}: cannot be written ({error.strerror or error}); choose another place") from None
    return SigningKey(key).public


def read_key(file: Path, passphrase: Callable[[], str] = str) -> SigningKey:
    """The key of a file; `passphrase` is asked where it has one. Raises ChainError."""
    _needed()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = _content(file, "key")
    if file.stat().st_mode & 0o077:
        raise ChainError(f"{file}: others can read this key; run `chmod 600 {file}`")
    secret = passphrase().encode() if b"ENCRYPTED" in data else None
    try:
        key = load_pem_private_key(data, secret or None)
    except (ValueError, TypeError):
        wrong = "the passphrase is wrong" if b"ENCRYPTED" in data else "is no key; make one with `retail-seg key new`"
        raise ChainError(f"{file}: {wrong}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ChainError(f"{file}: is a key of another kind; make one with `retail-seg key new`")
    return SigningKey(key)


def _content(file: Path, what: str) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(_LARGEST)
    except OSError as error:
        reason = error.strerror or error
        raise ChainError(f"{file}: no {what} can be read there ({reason}); see `retail-seg key --help`") from None


def _message(purpose: str, payload: bytes) -> bytes:
    return f"retail-seg {purpose}\n".encode() + payload


def _needed() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise MissingExtraError(
            "signatures need cryptography; install it with `pip install retail-seg[chain]`"
        ) from None
