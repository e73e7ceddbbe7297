"""Options of the batch system `dask`."""

from __future__ import annotations

from dataclasses import dataclass

from toil_core.options import option
from toil_core.sizes import parse_waiting_time


@dataclass(frozen=True)
class DaskOptions:
    """Which Dask cluster runs the jobs. The names say it in full, as a prefix of the group would offer them to every subcommand."""

    dask_scheduler: str | None = option(None, "Address of the Dask scheduler, tls://HOST:8786 for example; if not given, a cluster is started here.")
    dask_tls_ca_file: str | None = option(None, "File with the certificate that the scheduler's is signed by; what Dask's own configuration says if not given.")
    dask_tls_cert_file: str | None = option(None, "File with our own certificate.")
    dask_tls_key_file: str | None = option(None, "File with our own certificate's private key.")
    dask_may_grow: bool = option(True, "Whether nodes may still join: then a job that fits no present node waits for one; else it fails at once.")
    dask_connect_timeout: float = option(15.0, "How long the scheduler may take to answer at the start.", parse=parse_waiting_time)
