"""How a leader reaches a Dask cluster: the client, which says when its connection is lost."""

from __future__ import annotations

import asyncio
import logging
import warnings
from dataclasses import dataclass, field

from distributed import Client
from distributed.security import Security

from toil_dask import security

UNREACHABLE = (OSError, ValueError, RuntimeError, TypeError)
"""What Dask raises when a cluster cannot be used: the last three when its address is none."""
SEND_SECONDS = 0.002
"""For how long what follows upon a message to the scheduler is held back; Dask's own 10 ms are longer than a small job takes. It is as the other way round."""


GRACE_SECONDS = 5.0
"""How much longer than to take the connection a scheduler may take to answer."""
_PLAINLY = {
    "ssl_context": "tls:// needs certificates, the authority's and our own: --dask-tls-ca-file, --dask-tls-cert-file and --dask-tls-key-file",
    "cannot convert to SSL": "what listens there does not speak TLS",
    "encryption required": "certificates are given, and are for tls:// addresses only",
}
"""What errors of Dask's mean, by words in them."""


@dataclass(frozen=True)
class Target:
    """How the cluster is reached.

    Args:
        scheduler: The scheduler's address.
        files: Paths by `tls_ca_file`, `tls_cert_file` and `tls_key_file`; empty for what Dask's configuration says.
        timeout: Seconds that the scheduler may take to answer at the start.
        may_grow: Whether further nodes may join.
    """

    scheduler: str
    files: dict[str, str] = field(default_factory=dict)
    timeout: float = 15.0
    may_grow: bool = True


class LosableClient(Client):
    """A client that says when its connection is lost, and does not make another by itself."""

    lost: asyncio.Event

    async def _reconnect(self) -> None:
        self.lost.set()
        await self._close(fast=True)


def check(target: Target) -> None:
    """See that the files which the cluster is reached with can be used.

    Args:
        target: The cluster.

    Raises:
        UsageError: One cannot.
    """
    security.check(Security(**security.settings(target.files, ("client",))))


async def connect(target: Target, timeout: float) -> LosableClient:
    """A client of the cluster's.

    Args:
        target: The cluster.
        timeout: Seconds that the scheduler may take to answer.

    Raises:
        Exception: One of `UNREACHABLE`.
    """
    logging.getLogger("distributed.batched").setLevel(logging.WARNING)  # below that it shows a traceback of each connection that is closed
    secured = Security(**security.settings(target.files, ("client",)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other versions of packages; what counts is told by each node
        client = LosableClient(target.scheduler, asynchronous=True, security=secured, timeout=timeout, set_as_default=False)
        client.lost = asyncio.Event()
        try:
            await asyncio.wait_for(client, timeout + GRACE_SECONDS)
            client.scheduler_comm.interval = SEND_SECONDS
        except TimeoutError as error:  # Dask waits for ever for the first word of what takes its connection
            await client._close(fast=True)
            raise OSError(str(error) or "what listens there does not answer as a Dask scheduler does") from error
        except BaseException:
            await client._close(fast=True)
            raise
    return client


def cannot_reach(target: Target, error: Exception) -> str:
    """Why the cluster cannot be used, for the user."""
    why = plain(" ".join(str(error).split()) or type(error).__name__)
    hint = "check --dask-scheduler" if target.files else "check --dask-scheduler, and --dask-tls-ca-file and its like when the scheduler speaks TLS"
    return f"the Dask scheduler at {target.scheduler} cannot be used: {why} ({hint})"


def plain(text: str) -> str:
    """An error of Dask's, in plain words where these are known, and not too long."""
    text = next((meaning for words, meaning in _PLAINLY.items() if words in text), text)
    return text if len(text) <= 300 else f"{text[:297]}…"
