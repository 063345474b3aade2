"""A certificate of one's own for a server of a test: an authority, and what it signed for a name."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificates:
    """Files: the authority's certificate, and a server's with its key."""

    authority: Path
    server: Path

    def context(self) -> ssl.SSLContext:
        """What a server listens with."""
        found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        found.load_cert_chain(self.server)
        return found


def certificates(folder: Path, name: str, *, days: int = 1) -> Certificates:
    """An authority and a server's certificate for a name, valid for so many days from yesterday on."""
    folder.mkdir(parents=True, exist_ok=True)
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _name("An authority")
    above = _signed(authority, authority, authority_key, authority_key, 30, x509.BasicConstraints(True, None))
    below = _signed(_name(name), authority, key, authority_key, days, x509.SubjectAlternativeName([x509.DNSName(name)]))
    own = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "authority.pem").write_bytes(above.public_bytes(serialization.Encoding.PEM))
    (folder / "server.pem").write_bytes(own + below.public_bytes(serialization.Encoding.PEM))
    return Certificates(folder / "authority.pem", folder / "server.pem")


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    by: ec.EllipticCurvePrivateKey,
    days: int,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    begun = datetime.now(UTC) - timedelta(days=1)
    ends = begun + timedelta(days=1 + days)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(begun - timedelta(days=1))
    return builder.not_valid_after(ends).add_extension(extension, critical=False).sign(by, hashes.SHA256())
