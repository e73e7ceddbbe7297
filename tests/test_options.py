from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from toil_core.errors import BadOption
from toil_core.option_parser import OptionParser, add_engine_options, config_from
from toil_core.option_specs import specs
from toil_core.options import Config, Group, option
from toil_core.sizes import parse_duration, parse_size


@dataclass(frozen=True)
class CloudOptions:
    region: str = option("north", "Where.", env="CLOUD_REGION")
    encrypt: bool = option(True, "Whether.")
    node_type: tuple[str, ...] = option((), "What, 100 % of it.", flags=("-n",))
    preemptible_share: float = option(0.5, "How many.")
    disk: int = option(2**30, "How much.", parse=parse_size)
    patience: float | None = option(None, "How long.", parse=parse_duration)
    tier: Literal["onDemand", "spot"] = option("spot", "Which.", shortcuts={"--onlySpot": "spot"})
    tries: int = option(3, "How often.")
    zone: str | None = option(None, "Where there.")
    again: bool = option(False, "This time.", saved=False)


CLOUD = Group("cloud", CloudOptions, prefix="cloud")
LOCAL = Group("local", CloudOptions)


def parse(*arguments: str, group: Group = CLOUD, **more: Any) -> CloudOptions:
    parser = OptionParser("words.py")
    parser.add_argument("locator")
    parser.add_argument("--text")
    add_engine_options(parser, [group])
    found = parser.parse_args(["store", *arguments])
    more.setdefault("environ", {"XDG_CONFIG_HOME": "/nonexistent"})
    return config_from(found, groups=[group], **more)[CloudOptions]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_defaults_stand_when_nobody_says_anything() -> None:
    assert parse() == CloudOptions()


@pytest.mark.parametrize("flag", ["--cloud-node-type", "--cloudNodeType", "-n"])
def test_every_spelling_sets_the_option_and_can_be_repeated(flag: str) -> None:
    assert parse(flag, "a", flag, "b").node_type == ("a", "b")


@pytest.mark.parametrize("flag", ["--preemptible-share", "--preemptable-share", "--preemptibleShare", "--preemptableShare"])
def test_preemptible_and_preemptable_are_one_word(flag: str) -> None:
    assert parse(flag, "0.25", group=LOCAL).preemptible_share == 0.25


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (["--encrypt"], True),
        (["--encrypt", "false"], False),
        (["--encrypt=No"], False),
        (["--no-encrypt"], False),
        (["--noEncrypt"], False),
        (["--no-encrypt", "false"], True),
        (["--no-encrypt", "--encrypt"], True),
    ],
)
def test_switches(arguments: list[str], value: bool) -> None:
    if arguments == ["--noEncrypt"]:
        assert parse("--noCloudEncrypt").encrypt is value
    else:
        assert parse(*arguments, group=LOCAL).encrypt is value


def test_a_switch_does_not_swallow_a_positional_argument() -> None:
    parser = OptionParser("words.py")
    parser.add_argument("locator")
    add_engine_options(parser, [LOCAL])
    found = parser.parse_args(["--again", "store"])
    assert found.locator == "store"
    assert config_from(found, groups=[LOCAL], environ={})[CloudOptions].again


def test_after_two_dashes_everything_is_an_argument() -> None:
    parser = OptionParser("words.py")
    parser.add_argument("words", nargs="*")
    add_engine_options(parser, [LOCAL])
    assert parser.parse_args(["--", "--again", "true"]).words == ["--again", "true"]


@pytest.mark.parametrize("text", ["onDemand", "on-demand", "ON_DEMAND"])
def test_choices_are_found_in_any_spelling(text: str) -> None:
    assert parse("--cloud-tier", text).tier == "onDemand"


@pytest.mark.parametrize("flag", ["--onlySpot", "--only-spot"])
def test_a_shortcut_stands_for_a_value(flag: str) -> None:
    assert parse("--cloud-tier", "onDemand", flag).tier == "spot"


def test_values_have_their_types() -> None:
    found = parse("--cloud-disk", "2 GiB", "--cloud-patience", "2m", "--cloud-tries", "5")
    assert (found.disk, found.patience, found.tries) == (2**31, 120.0, 5)
    assert parse("--cloud-patience", "none").patience is None


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(file: Path) -> None:
    file.write_text('[cloud]\nregion = "file"\ntries = 1\ndisk = "1k"\n')
    environ = {"CLOUD_REGION": "environment", "TOIL_CLOUD_TRIES": "2", "TOIL_CONFIG": str(file)}
    found = parse("--cloud-region", "typed", environ=environ)
    assert (found.region, found.tries, found.disk, found.encrypt) == ("typed", 2, 1000, True)


def test_an_empty_variable_is_none(file: Path) -> None:
    assert parse(environ={"CLOUD_REGION": ""}).region == "north"


def test_a_variable_lists_values_between_commas() -> None:
    assert parse(environ={"TOIL_CLOUD_NODE_TYPE": "a,b"}).node_type == ("a", "b")


def test_the_default_file_is_read_when_it_exists(tmp_path: Path) -> None:
    (tmp_path / "toil").mkdir()
    (tmp_path / "toil" / "config.toml").write_text("[cloud]\ntries = 9\n")
    assert parse(environ={"XDG_CONFIG_HOME": str(tmp_path)}).tries == 9


def test_the_file_takes_toml_values_and_any_spelling_of_a_key(file: Path) -> None:
    file.write_text('[cloud]\nnode-type = ["a", "b"]\nencrypt = false\npreemptable-share = 1\npatience = 1.5\ndisk = 12\n')
    found = parse("--config", str(file))
    assert found == CloudOptions(encrypt=False, node_type=("a", "b"), preemptible_share=1.0, patience=1.5, disk=12)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--cloudDisk", "2 Gx"], "--cloudDisk: '2 Gx' is not a size in bytes; write 1000000, 500M, 2G or 1.5 GiB"),
        (["--cloud-tries", "1.5"], "--cloud-tries: '1.5' is not a whole number"),
        (["--cloud-tier", "cheap"], "--cloud-tier: 'cheap' is none of onDemand, spot"),
        (["--cloud-encrypt=perhaps"], "--cloud-encrypt: 'perhaps' is neither true nor false"),
        (["--no-cloud-encrypt=perhaps"], "--no-cloud-encrypt: 'perhaps' is neither true nor false"),
        (["--cloud-trys", "1"], "unknown option --cloud-trys; did you mean --cloud-tries?"),
        (["--zzz=1"], "unknown option --zzz (`words.py --help` lists them)"),
        (["surplus"], "unexpected argument 'surplus'"),
        (["--cloud-disk"], "--cloud-disk: expected one argument"),
        (["--cloud-region", ""], "--cloud-region: its value is empty; leave the option out"),
        (["--cloud-node-type="], "--cloud-node-type: its value is empty; leave the option out"),
        (["--cloud-zone", " "], "--cloud-zone: its value is empty; leave the option out, or write `none`"),
        (["--cloud-preemptible-share", "nan"], "--cloud-preemptible-share: 'nan' is not a number"),
        (["--cloud-preemptible-share=-inf"], "--cloud-preemptible-share: '-inf' is not a number"),
    ],
)
def test_a_bad_argument_is_named(arguments: list[str], says: str) -> None:
    with pytest.raises(BadOption) as raised:
        parse(*arguments)
    assert str(raised.value) == says


@pytest.mark.parametrize("arguments", [["a", "b", "--flag", "2"], ["a", "--flag", "2", "b"], ["--flag", "2", "a", "b"], ["a", "--flag=2", "--", "b"]])
def test_a_flag_may_stand_before_what_need_not_be_given(arguments: list[str]) -> None:
    parser = OptionParser("words.py")
    parser.add_argument("first")
    parser.add_argument("second", nargs="?")
    parser.add_argument("--flag", type=int)
    found = parser.parse_args(arguments)
    assert (found.first, found.second, found.flag) == ("a", "b", 2)
    with pytest.raises(BadOption, match="^unexpected argument 'c'$"):
        parser.parse_args([*arguments, "c"])


def test_a_bad_variable_is_named() -> None:
    with pytest.raises(BadOption, match="^TOIL_CLOUD_TRIES: 'x' is not a whole number$"):
        parse(environ={"TOIL_CLOUD_TRIES": "x"})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[cloud]\ntries = true\n", "[cloud] tries: 'true' is not a whole number"),
        ("[cloud]\ntries = [1]\n", "[cloud] tries: [1] is not a single value"),
        ("[cloud]\ntrie = 1\n", "[cloud] has no option trie; did you mean tries?"),
        ("[clod]\n", "there is no group of options [clod]; did you mean cloud?"),
        ("cloud = 1\n", "cloud must be a table; write [cloud] and its options below"),
        ("[cloud\n", "is not TOML: "),
    ],
)
def test_a_bad_file_is_named_with_the_key(file: Path, text: str, says: str) -> None:
    file.write_text(text)
    with pytest.raises(BadOption) as raised:
        parse("--config", str(file))
    assert str(file) in str(raised.value)
    assert says in str(raised.value)


def test_a_missing_file_is_an_error_only_when_it_was_named(file: Path) -> None:
    with pytest.raises(BadOption, match="there is no config file"):
        parse("--config", str(file))
    assert parse(environ={"XDG_CONFIG_HOME": str(file)}) == CloudOptions()


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="cannot be read: Is a directory"):
        parse("--config", str(tmp_path))


def test_a_scripts_own_argument_wins_over_an_option_of_its_name() -> None:
    parser = OptionParser("words.py")
    parser.add_argument("--region", default="mine")
    parser.add_argument("--no-encrypt", action="store_true")
    add_engine_options(parser, [LOCAL])
    found = parser.parse_args(["--region", "theirs", "--no-encrypt"])
    assert (found.region, found.no_encrypt) == ("theirs", True)
    assert config_from(found, groups=[LOCAL], environ={})[CloudOptions] == CloudOptions()


def test_parsed_options_do_not_mix_with_a_scripts_arguments() -> None:
    parser = OptionParser("words.py")
    parser.add_argument("--text")
    add_engine_options(parser, [CLOUD])
    assert set(vars(parser.parse_args(["--text", "t"]))) == {"text"}


def test_the_help_shows_each_option_once_with_default_and_variable() -> None:
    parser = OptionParser("words.py")
    add_engine_options(parser, [CLOUD])
    text = " ".join(parser.format_help().split())
    assert "--cloud-disk SIZE How much. [1 GiB; TOIL_CLOUD_DISK]" in text
    assert "--cloud-encrypt Whether. [true; TOIL_CLOUD_ENCRYPT]" in text
    assert "-n, --cloud-node-type" in text
    assert "100 % of it" in text
    assert "cloudDisk" not in text
    assert text.startswith("usage: words.py [-h] [--config FILE] options:")


def test_a_config_goes_through_json_to_a_worker() -> None:
    config = Config([CloudOptions(region="south", node_type=("a", "b"), again=True)])
    saved = json.loads(json.dumps(config.as_dict()))
    restored = Config.from_dict(saved)
    assert restored[CloudOptions] == CloudOptions(region="south", node_type=("a", "b"))
    assert Config.from_dict(restored.as_dict())[CloudOptions] == restored[CloudOptions]
    assert restored.plugins["toil"]["core"] == "toil_core.builtin"


def test_a_restored_config_overlooks_what_this_version_does_not_know() -> None:
    saved = Config([CloudOptions(tries=5)]).as_dict()
    (values,) = saved["options"].values()
    values["since_removed"] = 1
    saved["options"]["elsewhere:Other"] = {"x": 1}
    restored = Config.from_dict(saved)
    assert restored[CloudOptions].tries == 5
    assert restored.as_dict()["options"]["elsewhere:Other"] == {"x": 1}


def test_a_group_can_be_replaced() -> None:
    config = Config.from_dict(Config([CloudOptions(tries=5)]).as_dict()).replacing(CloudOptions(tries=6))
    assert config[CloudOptions].tries == 6


def test_a_restart_keeps_its_options_unless_the_command_line_says_otherwise() -> None:
    saved = Config([CloudOptions(region="south", tries=5, again=True)])
    found = parse("--cloud-tries", "7", saved=saved, environ={"CLOUD_REGION": "west"})
    assert (found.region, found.tries, found.again) == ("south", 7, False)


def test_an_option_of_an_unknown_type_is_the_plugins_mistake() -> None:
    @dataclass(frozen=True)
    class Odd:
        table: dict[str, str] = option(None, "No.")

    with pytest.raises(TypeError, match=r"option odd\.table: its type must be"):
        specs(Group("odd", Odd))
