"""Options of Toil that mean nothing here: accepted, so that no command line breaks, and told to have no effect when given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Foreign:
    """One of them.

    Args:
        flag: Its flag.
        default: What the attribute of the options says if nobody changes it.
        takes: How many words follow the flag: `""` none, `"1"` one, `"?"` one or none.
        dest: The attribute; named like the flag if not given.
        why: What is in its place.
    """

    flag: str
    default: Any = None
    takes: str = "1"
    dest: str = ""
    why: str = ""

    @property
    def attribute(self) -> str:
        """The attribute of the options."""
        return self.dest or self.flag.lstrip("-")


_EVENTS = "nothing is polled"
_DATA = "files are linked wherever that is possible"
_CLOUD = "nodes are not scaled by this option"

FOREIGN = (
    Foreign("--cleanWorkDir", "always", why="folders of jobs are always removed"),
    Foreign("--clusterStats", None, "?"),
    Foreign("--rotatingLogging", False, "", "logRotating"),
    Foreign("--logColors", True, "1", "colored_logs"),
    Foreign("--writeLogsGzip", None, "?", why="use --writeLogs"),
    Foreign("--noStdOutErr", False, ""),
    Foreign("--batchLogsDir", None, "1", "batch_logs_dir"),
    Foreign("--statusWait", 3600, why=_EVENTS),
    Foreign("--coordinationDir", None, "1", "coordination_dir"),
    Foreign("--runDir"),
    Foreign("--rescueJobsFrequency", 60, why=_EVENTS),
    Foreign("--servicePollingInterval", 60.0, why=_EVENTS),
    Foreign("--deadlockCheckInterval", 30, why=_EVENTS),
    Foreign("--statePollingWait", None, why=_EVENTS),
    Foreign("--statePollingTimeout", 1200, "1", "state_polling_timeout", _EVENTS),
    Foreign("--coalesceStatusCalls", True, why=_EVENTS),
    Foreign("--maxJobs", 2**63 - 1, "1", "max_jobs"),
    Foreign("--manualMemArgs", False, ""),
    Foreign("--memoryIsProduct", False, "", "memory_is_product"),
    Foreign("--jobStoreTimeout", 30.0, "1", "job_store_timeout"),
    Foreign("--disableJobStoreChecksumVerification", False, "?"),
    Foreign("--enableUnlimitedPreemptibleRetries", False, "?", why="use --maxNodeLosses"),
    Foreign("--enableUnlimitedPreemptableRetries", False, "?", "enableUnlimitedPreemptibleRetries", "use --maxNodeLosses"),
    Foreign("--defaultAccelerators", (), why="each job says which accelerators it needs"),
    Foreign("--symlinkImports", True, why=_DATA),
    Foreign("--linkImports", False, "", why=_DATA),
    Foreign("--noLinkImports", False, "", why=_DATA),
    Foreign("--moveOutputs", False, why=_DATA),
    Foreign("--moveExports", False, "", why=_DATA),
    Foreign("--noMoveExports", False, "", why=_DATA),
    Foreign("--symlinkJobStoreReads", True, "1", "symlink_job_store_reads", _DATA),
    Foreign("--runImportsOnWorkers", False, "", "run_imports_on_workers"),
    Foreign("--importWorkersBatchSize", 1 << 30, "1", "import_workers_batchsize"),
    Foreign("--importWorkersDisk", 1 << 20, "1", "import_workers_disk"),
    Foreign("--badWorker", 0.0),
    Foreign("--badWorkerFailInterval", 0.01),
    Foreign("--debugWorker", False, ""),
    Foreign("--disableWorkerOutputCapture", False, ""),
    Foreign("--publishWorkflowMetrics", None, "1", "publish_workflow_metrics", "nothing about a run is sent to anybody"),
    Foreign("--metrics", False, "?", why="use `toil dashboard`"),
    Foreign("--forceDockerAppliance", False, "?"),
    Foreign("--parasolCommand", "parasol"),
    Foreign("--parasolMaxBatches", 10000),
    Foreign("--sseKey"),
    Foreign("--cseKey"),
    Foreign("--mesosMaster", None, "1", "mesosMasterAddress"),
    Foreign("--mesosEndpoint", None, "1", "mesos_endpoint"),
    Foreign("--provisioner", None, why=_CLOUD),
    Foreign("--nodeType", None, why=_CLOUD),
    Foreign("--nodeTypes", None, why=_CLOUD),
    Foreign("--nodeOptions", None, why=_CLOUD),
    Foreign("--preemptableNodeType", None, why=_CLOUD),
    Foreign("--preemptableNodeOptions", None, why=_CLOUD),
    Foreign("--minNodes", None, why=_CLOUD),
    Foreign("--maxNodes", None, why=_CLOUD),
    Foreign("--minPreemptableNodes", 0, why=_CLOUD),
    Foreign("--maxPreemptableNodes", 0, why=_CLOUD),
    Foreign("--alphaPacking", 0.8, why=_CLOUD),
    Foreign("--betaInertia", 0.1, why=_CLOUD),
    Foreign("--targetTime", 1800, why=_CLOUD),
    Foreign("--scaleInterval", 60, why=_CLOUD),
    Foreign("--preemptableCompensation", 0.0, "1", "preemptibleCompensation", _CLOUD),
    Foreign("--preemptibleCompensation", 0.0, why=_CLOUD),
    Foreign("--nodeStorage", 50, why=_CLOUD),
    Foreign("--nodeStorageOverrides", (), why=_CLOUD),
    Foreign("--assumeZeroOverhead", False, "?", "assume_zero_overhead", _CLOUD),
)
