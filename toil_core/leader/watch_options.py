"""What a run can be told about those who watch it, or end it, from outside."""

from __future__ import annotations

from dataclasses import dataclass

from toil_core.options import option
from toil_core.sizes import parse_duration


@dataclass(frozen=True)
class WatchOptions:
    """How others learn what a leader does, and a leader what others want."""

    stats: bool = option(False, "Keep the job store at the end, whatever --clean says, for `toil stats` and `toil report`.")
    events: str | None = option(
        None, "Write everything that happens to this file too: a JSON object on each line.", flags=("--write-messages", "--writeMessages")
    )
    status_interval: float = option(
        5.0, "How old what other programs see of the run may be: the leader writes it to the job store that often while something happens.",
        parse=parse_duration,
    )  # fmt: skip
    kill_check_interval: float = option(
        30.0, "How often the leader looks whether `toil kill` on another machine asked it to end; 0 for never.", parse=parse_duration
    )
    leader_lease: float = option(
        900.0, "A worker that the batch system cannot end by itself ends when its leader was silent for so long; 0 for never.",
        parse=parse_duration,
    )  # fmt: skip
