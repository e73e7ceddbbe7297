"""Variables whose names say that they hold secrets."""

from __future__ import annotations

import pytest

from toil_core.errors import BadOption
from toil_core.leader.options import parse_variable
from toil_core.secrets import looks_secret, refuse_secret_words


@pytest.mark.parametrize(
    "name",
    ["API_KEY", "apikey", "GITHUB_TOKEN", "DB_PASSWORD", "PGPASSWORD", "MY_SECRET_THING", "ROOT_CREDENTIALS", "X_ACCESS_KEY_ID", "AUTHTOKEN", "DB_PASS"],
)
def test_names_of_secrets(name: str) -> None:
    assert looks_secret(name)
    for text in (name, f"{name}=hunter2"):
        with pytest.raises(BadOption) as refused:
            parse_variable(text)
        assert "hunter2" not in str(refused.value)
        assert f"{name}_FILE=PATH" in str(refused.value)


@pytest.mark.parametrize(
    "name", ["PATH", "KEYBOARD", "MONKEY", "TOKENIZERS_PARALLELISM", "PWD", "HOME", "API_KEY_FILE", "SSH_KEY_PATH", "OMP_NUM_THREADS", "COMPASS"]
)
def test_other_names(name: str) -> None:
    assert not looks_secret(name)
    assert parse_variable(f"{name}=1") == f"{name}=1"


def test_a_setting_that_is_none_is_not_repeated_in_the_error() -> None:
    with pytest.raises(BadOption, match="'2nd-thing=' sets no variable") as refused:
        parse_variable("2nd-thing=hunter2")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("words", [("--set-env", "API_KEY=hunter2"), ("--setEnv=API_KEY=hunter2",), ("-e", "API_KEY=hunter2"), ("-eAPI_KEY=hunter2",)])
def test_a_command_line_that_sets_a_secret(words: tuple[str, ...]) -> None:
    with pytest.raises(BadOption, match="API_KEY says that it is a secret") as refused:
        refuse_secret_words(("file:store", *words, "--count", "1"))
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("words", [("--set-env", "API_KEY"), ("--set-env",), ("--key", "API_KEY=x"), ("-e", "A=API_KEY=x"), ("--set-env=B=1", "API_KEY=x"), ()])
def test_other_command_lines(words: tuple[str, ...]) -> None:
    refuse_secret_words(words)
