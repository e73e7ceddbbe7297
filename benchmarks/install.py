"""Give each peer an environment of its own, where the benchmarks look for it.

    python -m benchmarks.install [PEER…]
"""

from __future__ import annotations

import subprocess
import sys
import venv

from benchmarks.catalog import PEERS, ROOT, SUBJECTS


def install(peer: str) -> None:
    """Make the peer's environment; it is made anew when it is there.

    Raises:
        CalledProcessError: Its packages cannot be installed.
    """
    folder = PEERS / peer
    venv.create(folder, clear=True, with_pip=True)
    wanted = ROOT / "benchmarks" / "peers" / f"{peer}.txt"
    subprocess.run([folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted], check=True)
    print(f"{peer}: {folder}")


def main() -> None:
    known = [subject.peer for subject in SUBJECTS if subject.peer]
    wanted = sys.argv[1:] or known
    for peer in wanted:
        if peer not in known:
            raise SystemExit(f"{peer} is no peer; the peers are {', '.join(known)}")
    for peer in wanted:
        install(peer)


if __name__ == "__main__":
    main()
