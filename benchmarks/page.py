"""A page of ours in headless Chromium: serves it, hands it data, and waits for what it makes of it.

The page is one JavaScript module with `export async function run(data)`. It needs no driver: the
page fetches its data from this server and posts its result back. Responses carry the headers of
cross-origin isolation, without which a page gets no shared memory and so no threads.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm"}
INDEX = """<!doctype html><meta charset="utf-8"><script type="module">
const answer = {};
try {
  const { run } = await import('MODULE');
  answer.value = await run(await (await fetch('/data')).json());
} catch (error) {
  answer.error = String(error?.stack || error);
}
await fetch('/result', { method: 'POST', body: JSON.stringify(answer) });
</script>"""


class PageError(RuntimeError):
    """The page failed, or gave no result in time."""


def chromium() -> str | None:
    """The browser's program, or None."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, module: str, folders: Mapping[str, Path], data: Any, isolated: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.index = INDEX.replace("MODULE", module).encode()
        self.folders = {name: folder.resolve() for name, folder in folders.items()}
        self.data = json.dumps(data).encode()
        self.isolated = isolated
        self.answer: dict[str, Any] | None = None
        self.answered = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/":
            return self._send(self.server.index, "text/html")
        if path == "/data":
            return self._send(self.server.data, "application/json")
        _, name, rest = (path + "//").split("/", 2)
        folder = self.server.folders.get(name)
        file = (folder / rest.strip("/")).resolve() if folder else None
        if folder is None or file is None or folder not in file.parents or not file.is_file():
            return self.send_error(404)
        return self._send(file.read_bytes(), TYPES.get(file.suffix, "application/octet-stream"))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.answer = json.loads(body)
        self._send(b"", "text/plain")
        self.server.answered.set()

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.server.isolated:
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def run_page(
    module: str,
    folders: Mapping[str, Path],
    data: Any,
    *,
    timeout: float = 120,
    isolated: bool = True,
    arguments: Sequence[str] = (),
) -> Any:
    """What `run(data)` of the module at `/NAME/...` gives; `folders` are served as `/NAME/`.
    `arguments` are the browser's own.

    Raises PageError where the browser is missing, the page throws, or `timeout` seconds pass.
    """
    program = chromium()
    if program is None:
        raise PageError("no chromium here; install it: apt-get install chromium")
    server = _Server(module, folders, data, isolated)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        command += ["--disable-dev-shm-usage", f"--user-data-dir={profile}"]
        command += [*arguments, f"http://127.0.0.1:{server.server_address[1]}/"]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            if not server.answered.wait(timeout):
                raise PageError(f"the page gave no result in {timeout:g} s")
        finally:
            browser.terminate()
            try:
                browser.wait(10)
            except subprocess.TimeoutExpired:
                browser.kill()
                browser.wait()
            server.shutdown()
            server.server_close()
    answer = server.answer or {}
    if "error" in answer:
        raise PageError(answer["error"])
    return answer.get("value")
