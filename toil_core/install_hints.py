"""What to install for a name that nothing here provides.

The one place in the core that knows which distributions exist elsewhere.
"""

from __future__ import annotations

DRIVERS = {
    "aws": "toil-aws",
    "azure": "toil-azure",
    "dask": "toil-dask",
    "gce": "toil-gce",
    "google": "toil-gce",
    "grid_engine": "toil-gridengine",
    "kubernetes": "toil-kubernetes",
    "lsf": "toil-lsf",
    "mesos": "toil-mesos",
    "openstack": "toil-openstack",
    "paramiko": "toil-ssh",
    "pbs": "toil-pbs",
    "slurm": "toil-slurm",
    "torque": "toil-pbs",
}
"""The distribution that has the driver of a name."""

SCHEMES = {
    "gs": "toil-gce",
    "s3": "toil-aws",
    "swift": "toil-openstack",
    "wasb": "toil-azure",
    "wasbs": "toil-azure",
}
"""The distribution that opens URLs of a scheme."""

DEFAULTS = {"engine": "dask"}
"""For each kind of driver that a cluster needs, the one that is taken if none is named."""
