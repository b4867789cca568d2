"""Known vulnerabilities of the pinned packages: `audit.py PIP-AUDIT CONSTRAINTS`.

pip-audit says that it found none where the service knows no package, as behind a mirror without it:
that is told as a skip, and fails nothing. A vulnerability does.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


def told(report: dict[str, Any]) -> tuple[list[str], int]:
    """What to say of pip-audit's JSON, and the exit status."""
    known = [entry for entry in report["dependencies"] if "skip_reason" not in entry]
    unknown = len(report["dependencies"]) - len(known)
    if not known:
        return ["audit: SKIPPED, the service of vulnerabilities knows no package here"], 0
    lines = [
        f"{entry['name']} {entry['version']}: {found['id']}; mended in {found['fix_versions']}"
        for entry in known
        for found in entry["vulns"]
    ]
    said = f"audit: {len(known)} packages, {len(lines)} vulnerabilities, {unknown} not known there"
    return [*lines, said], 1 if lines else 0


def main() -> int:
    """Ask, and tell."""
    tool, constraints = sys.argv[1:]
    command = [tool, "-r", constraints, "--no-deps", "--disable-pip", "-f", "json"]
    done = subprocess.run(
        [*command, "--progress-spinner", "off"], capture_output=True, text=True, check=False
    )
    try:
        report = json.loads(done.stdout)
    except ValueError:
        why = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        print(f"audit: SKIPPED, pip-audit could not ask: {why[:200]}")
        return 0
    lines, status = told(report)
    print(*lines, sep="\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
