"""One definition of the settings; a file, the environment and flags, each over those before."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from kernels.errors import CrispcastError
from server.settings import Settings
from server.settings_sources import commented_file, flag, load_settings, variable

ROOT = Path(__file__).parents[2]


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_without_sources_there_are_the_defaults() -> None:
    assert load_settings() == Settings()


def test_flags_override_the_environment_and_that_the_file(tmp_path: Path) -> None:
    file = written(tmp_path / "a.toml", "port = 1\nmax_viewers = 2\nretry_after = 3\n")
    environment = {"CRISPCAST_MAX_VIEWERS": "20", "CRISPCAST_RETRY_AFTER": "30", "PORT": "9"}
    settings = load_settings(file, environment, {"retry_after": "300"})
    assert (settings.port, settings.max_viewers, settings.retry_after) == (1, 20, 300)


def test_a_list_is_an_array_in_the_file_and_has_commas_elsewhere(tmp_path: Path) -> None:
    file = written(tmp_path / "a.toml", 'cors_origins = ["https://a.org", "https://b.org"]')
    said = load_settings(None, {variable("cors_origins"): "https://a.org, https://b.org"})
    assert load_settings(file) == said
    assert said.cors_origins == ("https://a.org", "https://b.org")


def test_the_commented_file_has_every_setting_at_its_default(tmp_path: Path) -> None:
    text = commented_file()
    assert load_settings(written(tmp_path / "a.toml", text)) == Settings()
    # With the settings in force, it says the same still.
    bare = re.sub(r"^#(?=\w+ = )", "", text, flags=re.MULTILINE)
    assert list(tomllib.loads(bare)) == list(Settings.model_fields)
    assert load_settings(written(tmp_path / "b.toml", bare)) == Settings()
    for name in Settings.model_fields:
        assert f"# {flag(name)}, {variable(name)}\n" in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_commented_file_in_the_repository_is_the_one_that_is_printed() -> None:
    assert (ROOT / "deploy" / "crispcast.toml").read_text(encoding="utf-8") == commented_file()


def test_what_is_wrong_is_said_with_its_name_and_origin(tmp_path: Path) -> None:
    file = written(tmp_path / "a.toml", "port = 70000")
    with pytest.raises(CrispcastError, match=r"setting port, given in .*a\.toml.*65535"):
        load_settings(file)
    with pytest.raises(CrispcastError, match="environment as CRISPCAST_PORT, is refused"):
        load_settings(None, {"CRISPCAST_PORT": "http"})
    with pytest.raises(CrispcastError, match="setting max_viewers, given as --max-viewers"):
        load_settings(None, None, {"max_viewers": "0"})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("max_viewer = 3", "did you mean max_viewers"),
        ("zzz = 3", "crispcast settings"),
        ("port = ", "is not TOML"),
        ("[port]\na = 1", "setting port"),
        ("host = 7", "setting host"),
        ("start_delay = nan", "start_delay"),
        ("# " + "x" * (1 << 20), "too long"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(CrispcastError, match=why) as refused:
        load_settings(written(tmp_path / "a.toml", text))
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(CrispcastError, match=r"No such file.*crispcast settings"):
        load_settings(tmp_path / "a.toml")
