from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from subprocess import CompletedProcess

import pytest

from toil_core.errors import BadOption, HostKeyChanged, KeyRefused, Transient
from toil_core.option_parser import OptionParser, add_engine_options, config_from
from toil_core.options import Group
from toil_core.provisioner import Node
from toil_core.sync_transport import (
    Jump,
    Place,
    SyncTransport,
    TransportOptions,
    jump_from,
    parse_port,
    parse_setting,
    parse_user,
    wait_for_node,
)

NODE = Node("n1", "small", "worker", private_address="10.0.0.2", public_address="203.0.113.5")


class Boots(SyncTransport):
    """Answers each call with the next of these."""

    def __init__(self, *answers: Exception | int) -> None:
        self.answers = list(answers)
        self.now = 0.0

    def run(self, node: Node, command: Sequence[str], stdin: bytes = b"", timeout: float | None = None) -> CompletedProcess[bytes]:
        self.now += 30
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return CompletedProcess(command, answer, b"", b"")

    def push(self, node: Node, source: Path, target: PurePosixPath, *, delete: bool = False) -> None:
        raise NotImplementedError

    def pull(self, node: Node, source: PurePosixPath, target: Path, *, delete: bool = False) -> None:
        raise NotImplementedError

    def wait(self, seconds: float) -> None:
        wait_for_node(self, NODE, seconds, clock=lambda: self.now)


def options(*words: str) -> TransportOptions:
    parser = OptionParser()
    add_engine_options(parser, [Group("transport", TransportOptions)])
    return config_from(parser.parse_args(words), environ={})[TransportOptions]


def test_a_node_that_boots_is_waited_for() -> None:
    Boots(Transient("no answer"), KeyRefused("not yet"), 1, 0).wait(200)


@pytest.mark.parametrize("error", [Transient("no answer"), KeyRefused("no"), HostKeyChanged("another")])
def test_the_last_error_is_told_when_time_is_up(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)):
        Boots(Transient("first"), error, error).wait(80)


def test_a_refused_key_and_another_host_end_the_wait_early() -> None:
    boots = Boots(Transient("first"), HostKeyChanged("another"), 0)
    with pytest.raises(HostKeyChanged):
        boots.wait(1000)
    boots = Boots(*[KeyRefused("no")] * 9, 0)
    with pytest.raises(KeyRefused):
        boots.wait(1000)
    assert len(boots.answers) == 7


def test_a_wait_can_be_given_up() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Transient):
        wait_for_node(Boots(Transient("no answer"), 0), NODE, 600, give_up=stop)


def test_options_are_spelt_as_the_reference_spells_them() -> None:
    assert options("--sshOption", "ServerAliveInterval=10", "--ssh-option=-v").ssh_option == ("ServerAliveInterval=10", "-v")
    assert options("--ssh-jump=root@a:2222", "--sshJump=[fd00::1]:23").jumps() == [Jump("a", "root", 2222), Jump("fd00::1", "", 23)]


@pytest.mark.parametrize(
    ("chosen", "public", "private", "address"),
    [
        ((), "1", "2", "1"),
        ((), "", "2", "2"),
        (("--ssh-jump=h",), "1", "2", "2"),
        (("--ssh-jump=h",), "1", "", "1"),
        (("--node-address=private",), "1", "2", "2"),
        (("--node-address=public",), "1", "2", "1"),
    ],
)
def test_the_address_to_use(chosen: tuple[str, ...], public: str, private: str, address: str) -> None:
    assert options(*chosen).place_of(Node("n", "t", "worker", public_address=public, private_address=private)).address == address


def test_a_node_without_an_address_may_get_one() -> None:
    with pytest.raises(Transient, match="n has no public address yet"):
        options("--node-address=public").place_of(Node("n", "t", "worker", private_address="2"))


def test_what_the_user_says_wins() -> None:
    node = Node("n", "t", "worker", public_address="a", user="admin", host_keys=("ssh-ed25519 A",))
    assert options().place_of(node) == Place("n", "a", 22, "admin", ("ssh-ed25519 A",))
    given = options("--ssh-user=me", "--ssh-port=2200")
    assert given.place_of(node) == Place("n", "a", 2200, "me", ("ssh-ed25519 A",))
    assert given.place_of(replace(node, port=2022)).port == 2022


@pytest.mark.parametrize(("what", "node"), [
    ("name", Node("n 1", "t", "worker", public_address="a")),
    ("name", Node("n\nn2 ssh-ed25519 A", "t", "worker", public_address="a")),
    ("address", Node("n", "t", "worker", public_address="-oProxyCommand=x")),
    ("user", Node("n", "t", "worker", public_address="a", user="-l")),
])  # fmt: skip
def test_a_place_that_is_none(what: str, node: Node) -> None:
    with pytest.raises(BadOption, match=f"has a {what} that cannot be used"):
        options().place_of(node)


@pytest.mark.parametrize("text", ["-oStrictHostKeyChecking=no", "stricthostkeychecking = no", "UserKnownHostsFile=/dev/null", "SendEnv=*", "-F/x", "-W h:1", "x", 'A="', "A=b\nc", "-", ""])
def test_settings_that_are_none_or_weaken_are_refused(text: str) -> None:
    with pytest.raises(BadOption):
        parse_setting(text)


@pytest.mark.parametrize("text", ["-v", "-4", "-L8080:localhost:80", "Compression=yes", "-o Compression=yes", "ProxyCommand=nc %h %p"])
def test_settings_that_are_passed_on(text: str) -> None:
    assert parse_setting(text) == text.removeprefix("-o ")


@pytest.mark.parametrize("text", ["", "-oProxyCommand=x", "a b", "host:0", "host:70000", "u@", "[fd00::1", "a,b", "$(x)"])
def test_jump_hosts_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(BadOption):
        jump_from(text)


@pytest.mark.parametrize(("parse", "text"), [(parse_user, "-lroot"), (parse_user, ""), (parse_user, "a b"), (parse_port, "0"), (parse_port, "65536"), (parse_port, "x")])
def test_odd_users_and_ports_are_refused(parse: object, text: str) -> None:
    with pytest.raises(BadOption):
        parse(text)  # type: ignore[operator]


def test_another_host_is_told_with_what_to_do() -> None:
    told = Place("n", "a", 22, "", ("ssh-ed25519 A",)).another_answers(Path("known"))
    assert "that its cloud told of; find out why" in told
    before = Place("n", "a", 22, "", ())
    assert before.another_answers(Path("known")).endswith("; if the host was made anew, `ssh-keygen -R n -f known` forgets the old key")
    assert before.another_answers(None).endswith("known from earlier, in this process")
