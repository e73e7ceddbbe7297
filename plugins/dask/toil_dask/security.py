"""TLS: the certificates of a cluster, and how Dask is told of them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import PurePath

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
