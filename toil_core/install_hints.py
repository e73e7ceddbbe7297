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

LOCATORS = {
    "ftp": "files can be imported from URLs; a job store is a folder's path, or NAME:REST",
    "gs": "that is the URL of files; a job store there is named gce:REST, with toil-gce installed",
    "http": "files can be imported from URLs; a job store is a folder's path, or NAME:REST",
    "https": "files can be imported from URLs; a job store is a folder's path, or NAME:REST",
    "s3": "that is the URL of files; a job store there is named aws:REGION:NAME, aws:us-west-2:my-run for example",
    "swift": "that is the URL of files; a job store there is named openstack:REST, with toil-openstack installed",
    "wasb": "that is the URL of files; a job store there is named azure:REST, with toil-azure installed",
    "wasbs": "that is the URL of files; a job store there is named azure:REST, with toil-azure installed",
}
"""What to write for a job store, instead of a URL of that scheme."""

DEFAULTS = {"engine": "dask"}
"""For each kind of driver that a cluster needs, the one that is taken if none is named."""
