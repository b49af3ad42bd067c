"""A page in a real browser, without a window: what its script says of itself, and how it prints."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt install chromium)")
_ALONE = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
]
# virtual: the page's own timers, whatever the machine's speed
_TIME = "--virtual-time-budget=20000"

# In the page: `told` is what the test's code gives, or what went wrong.
_ASKED = """
<script>
const wrong = [];
addEventListener("error", (event) => wrong.push(String(event.message)));
document.addEventListener("securitypolicyviolation", (event) => wrong.push("blocked: " + event.blockedURI));
</script>
"""
_TOLD = """
<script>
addEventListener("load", () => setTimeout(async () => {
  let told = null;
  try { told = await (async () => { %s })(); } catch (error) { wrong.push(String(error)); }
  parent.postMessage(JSON.stringify({ told: told, wrong: wrong }), "*");
}, 500));
</script>
</body>
"""
_FRAME = """<!doctype html><meta charset="utf-8"><body style="margin:0">
<script>addEventListener("message", (event) => {
  const said = document.createElement("pre");
  said.id = "said";
  said.textContent = event.data;
  document.body.append(said);
});</script>
<iframe src="page.html" style="border:0;width:%dpx;height:900px"></iframe>
"""


def ask(page: str, code: str, folder: Path, width: int = 1440) -> Any:
    """What `code`, the body of a JavaScript function, returns in the page when it is `width` pixels wide and at rest.

    Fails where anything in the page threw, or asked for something that its policy forbids.
    """
    head, body = page.split("<title>", 1)
    (folder / "page.html").write_text(
        head + _ASKED + "<title>" + body.replace("</body>", _TOLD % code), encoding="utf-8"
    )
    (folder / "frame.html").write_text(_FRAME % width, encoding="utf-8")
    text = _chromium(folder, _TIME, "--window-size=1600,1000", "--dump-dom", (folder / "frame.html").as_uri())
    said = re.search(r'<pre id="said">(.*?)</pre>', text, re.DOTALL)
    assert said, f"the page said nothing: {text[-500:]}"
    answer = json.loads(html.unescape(said[1]))
    assert answer["wrong"] == []
    return answer["told"]


def printed(page: Path, folder: Path) -> bytes:
    """The page as a PDF."""
    _chromium(folder, _TIME, "--no-pdf-header-footer", f"--print-to-pdf={folder / 'page.pdf'}", page.as_uri())
    return (folder / "page.pdf").read_bytes()


def _chromium(folder: Path, *words: str) -> str:
    assert CHROMIUM is not None
    command = [CHROMIUM, *_ALONE, f"--user-data-dir={folder / 'profile'}", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, check=True).stdout
