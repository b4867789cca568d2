"""docs/embed-c.md, done as it says: its commands run, its snippets compile."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.kernels.test_install import installed, tool

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "embed-c.md").read_text(encoding="utf-8")

PROGRAM = """
#include <stdlib.h>
#include "crispcast_session.h"
struct picture {{ unsigned char* planes[3]; ptrdiff_t strides[3]; }};
struct bytes {{ const unsigned char* data; size_t size; }};
void do_task(const crispcast_task* task);
void show(const struct picture* picture);
int ed25519_verify(const uint8_t* signature, const uint8_t* message, size_t size,
                   const uint8_t* key);
void all(crispcast_session session, struct bytes bytes, uint32_t rtp, int64_t now_ms, int width,
         int height, struct picture small, struct picture large);
void all(crispcast_session session, struct bytes bytes, uint32_t rtp, int64_t now_ms, int width,
         int height, struct picture small, struct picture large) {{
    crispcast_task task;
    crispcast_session_result result;
    int32_t status;
    {snippets}
}}
"""


def blocks(language: str) -> list[str]:
    """The page's blocks of that language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_a_recording_is_played_as_the_page_says(tmp_path: Path) -> None:
    gcc, prefix = tool("gcc", "gcc"), installed()
    _, play = blocks("sh")
    compile_it, run_it = play.strip().splitlines()
    compile_it = re.sub("^cc", gcc, compile_it).replace("/usr/local", str(prefix))
    compile_it = compile_it.replace("build/replay", str(tmp_path / "replay"))
    compile_it += f" -Wl,-rpath,{prefix / 'lib'}"
    subprocess.run(compile_it, shell=True, check=True, cwd=ROOT)
    done = subprocess.run(
        run_it.replace("build/replay", str(tmp_path / "replay")),
        shell=True,
        check=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    told = re.findall(r"`(\w+ ok)`", PAGE)
    assert done.stdout.splitlines() == told
    assert len(told) == 4


def test_the_snippets_are_c(tmp_path: Path) -> None:
    gcc, prefix = tool("gcc", "gcc"), installed()
    source = tmp_path / "app.c"
    source.write_text(PROGRAM.format(snippets="\n".join(blocks("c"))))
    done = subprocess.run(
        [gcc, "-std=c11", "-Wall", "-Wextra", "-Werror", "-c", source, f"-I{prefix / 'include'}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", ["embed-c.md", "c-api.md"])
def test_it_is_installed_as_both_pages_say(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert "cmake --install build/native --prefix /usr/local" in text
    assert (installed() / "include" / "crispcast_session.h").is_file()
