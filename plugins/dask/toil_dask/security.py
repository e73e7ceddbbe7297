"""TLS: the certificates of a cluster, and how Dask is told of them."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING

from toil_core.errors import UsageError

if TYPE_CHECKING:
    from distributed.security import Security

CA, CERTIFICATE, KEY = "ca.pem", "certificate.pem", "key.pem"
"""Names of the files that every node of a cluster has."""
_YEARS = 10


def make_secrets(cluster: str) -> dict[str, bytes]:
    """A certificate authority for one cluster, and the one certificate, with its key, that all members show.

    The authority's own key is thrown away, so nothing else can ever be signed by it.

    Args:
        cluster: The cluster's name, for people who look at the certificate.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])

    now = datetime.datetime.now(datetime.UTC)
    authority, member = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = name(f"toil cluster {cluster}")

    def begun(subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))  # clocks differ
            .not_valid_after(now + datetime.timedelta(days=365 * _YEARS))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        )

    def usage(*, signs: bool) -> x509.KeyUsage:
        return x509.KeyUsage(
            digital_signature=not signs, key_cert_sign=signs, crl_sign=signs, content_commitment=False, key_encipherment=False,
            data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip

    root = (
        begun(issuer, authority.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage(signs=True), critical=True)
        .sign(authority, hashes.SHA256())
    )
    shown = (
        begun(name(f"toil node of {cluster}"), member.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("toil-cluster")]), critical=False)
        .sign(authority, hashes.SHA256())
    )
    key = member.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {CA: root.public_bytes(serialization.Encoding.PEM), CERTIFICATE: shown.public_bytes(serialization.Encoding.PEM), KEY: key}


def paths(folder: PurePath) -> dict[str, str]:
    """Where the files of `make_secrets` lie on a node, by the ends of the options that name them."""
    inner = folder / "dask"
    return {"tls_ca_file": str(inner / CA), "tls_cert_file": str(inner / CERTIFICATE), "tls_key_file": str(inner / KEY)}


def check(secured: Security) -> None:
    """See that a client's files are there, and are what they should be; Dask itself says of a missing one neither which it is nor whose.

    Args:
        secured: What Dask is told, with what its own configuration says.

    Raises:
        UsageError: One cannot be read, or they do not go together.
    """
    named = {"--dask-tls-ca-file": secured.tls_ca_file, "--dask-tls-cert-file": secured.tls_client_cert, "--dask-tls-key-file": secured.tls_client_key}
    files = {option: path for option, path in named.items() if path and "\n" not in path}  # Dask takes what is in a file, too
    for option, path in files.items():
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise UsageError(f"{option} (or its like in Dask's own configuration): {path} cannot be read: {error.strerror}") from None
    try:
        secured.get_connection_args("client")
    except ssl.SSLError as error:
        why = "the key is not the certificate's" if error.reason == "KEY_VALUES_MISMATCH" else f"one is no certificate, or no key, in PEM format ({error.reason or error})"
        raise UsageError(f"the files for TLS cannot be used, {', '.join(f'{option} {path}' for option, path in files.items())}: {why}") from None


def settings(files: Mapping[str, str | None], roles: tuple[str, ...] = ("client", "scheduler", "worker")) -> dict[str, object]:
    """Arguments for Dask's `Security`: what is given, the rest from Dask's own configuration.

    Args:
        files: Paths by `tls_ca_file`, `tls_cert_file` and `tls_key_file`.
        roles: What this process is.
    """
    found: dict[str, object] = {}
    if files.get("tls_ca_file"):
        found = {"tls_ca_file": files["tls_ca_file"], "require_encryption": True}
    for role in roles:
        for end, option in (("cert", "tls_cert_file"), ("key", "tls_key_file")):
            if files.get(option):
                found[f"tls_{role}_{end}"] = files[option]
    return found
