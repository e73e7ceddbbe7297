"""Skipping where there is no ssh server; CI has one."""

from __future__ import annotations

import os

import pytest

from toil_core.testing.ssh_server import missing


def needs_ssh() -> None:
    """Skip the test where programs are missing; fail it in CI."""
    if missing():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing())
