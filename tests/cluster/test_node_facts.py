from __future__ import annotations

import platform
import subprocess
import sys
from dataclasses import replace

import pytest

from toil_core.cluster import node_facts
from toil_core.cluster.bundle import python_version
from toil_core.errors import ToilError

ANSWER = """home=/root
machine=x86_64
python=3.11 /usr/bin/python3
tool=rsync
root=sudo
apt=yes
free=1000
"""


def test_this_machine_answers() -> None:
    done = subprocess.run(node_facts.question(python_version()), capture_output=True, text=True, check=False)
    facts = node_facts.answered(done.stdout, python_version())
    assert facts.machine == platform.machine()
    assert subprocess.run([facts.python, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True, check=True).stdout.strip() == str(
        tuple(sys.version_info[:2])
    )
    assert facts.free > 0
    assert node_facts.objection(facts, python_version(), platform.machine()) == ""


def test_an_answer() -> None:
    facts = node_facts.answered(ANSWER, "3.11")
    assert (str(facts.home), facts.python, facts.versions, facts.root, facts.apt, facts.free) == ("/root", "/usr/bin/python3", ("3.11",), "sudo", True, 1024000)
    assert node_facts.missing_packages(facts, "3.11") == ["tmux", "screen"]
    assert node_facts.install_command(["tmux"], "sudo")[:2] == ["sudo", "sh"]


@pytest.mark.parametrize("text", ["", "bash: cannot execute", "home=relative"])
def test_no_answer(text: str) -> None:
    with pytest.raises(ToilError, match="no sensible answer"):
        node_facts.answered(text, "3.11")


def test_a_node_with_another_python_or_processor_will_not_do() -> None:
    facts = node_facts.answered(ANSWER, "3.13")
    assert node_facts.missing_packages(facts, "3.13") == ["tmux", "screen", "python3.13"]
    assert "needs Python 3.13" in node_facts.objection(facts, "3.13", "x86_64")
    assert "it has 3.11" in node_facts.objection(facts, "3.13", "x86_64")
    assert "its processor is x86_64" in node_facts.objection(facts, "3.11", "aarch64")
    assert "it has none" in node_facts.objection(replace(facts, versions=()), "3.13", "x86_64")
