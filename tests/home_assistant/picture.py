"""Takes a picture of a page of Home Assistant with a headless chromium, over its DevTools protocol."""

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from websockets.sync.client import connect
from websockets.sync.connection import Connection

from tests.home_assistant.lab import Lab
from tests.mosquitto import free_port

START_S = 30.0
SIZE = (1280, 1180)
_TEXT = """(() => {
  const texts = (node) => [...node.childNodes].map((one) => one.nodeType === 3 ? one.textContent
    : (one.shadowRoot ? texts(one.shadowRoot) : "") + texts(one)).join(" ");
  return texts(document.body);
})()"""
"""What is written on the page, shadow trees included."""


def take_picture(lab: Lab, path: str, out: Path, *, wanted: tuple[str, ...]) -> None:
    """Write a picture of a page, once all wanted texts are on it."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium is not None, "a picture needs chromium"
    port, profile = free_port(), tempfile.mkdtemp(prefix="picture-")
    options = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
    )
    process = subprocess.Popen(
        [chromium, *options, f"--user-data-dir={profile}", f"--remote-debugging-port={port}", "about:blank"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with connect(_address_of_page(port), max_size=None, proxy=None) as connection:
            _shoot(connection, lab, path, out, wanted)
    finally:
        process.terminate()
        process.wait(START_S)
        shutil.rmtree(profile, ignore_errors=True)


def _address_of_page(port: int) -> str:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=2) as answer:
                return str(next(one for one in json.load(answer) if one["type"] == "page")["webSocketDebuggerUrl"])
        except (OSError, StopIteration):
            time.sleep(0.2)
    raise AssertionError("chromium does not open its DevTools port")


def _shoot(connection: Connection, lab: Lab, path: str, out: Path, wanted: tuple[str, ...]) -> None:
    number = 0

    def call(method: str, **params: Any) -> dict[str, Any]:
        nonlocal number
        number += 1
        connection.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(connection.recv(timeout=START_S))
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result

    tokens = {
        "access_token": lab.token,
        "token_type": "Bearer",
        "expires_in": 86400,
        "hassUrl": lab.address,
        "clientId": f"{lab.address}/",
        "expires": int(time.time() * 1000) + 86_400_000,
        "refresh_token": "",
    }
    call("Page.enable")
    call("Emulation.setDeviceMetricsOverride", width=SIZE[0], height=SIZE[1], deviceScaleFactor=1, mobile=False)
    call("Page.addScriptToEvaluateOnNewDocument", source=f"localStorage.setItem('hassTokens', {json.dumps(json.dumps(tokens))})")
    call("Page.navigate", url=lab.address + path)
    text, deadline = "", time.monotonic() + 60.0
    while not all(one in text for one in wanted):
        assert time.monotonic() < deadline, f"expected {wanted} on the page, got: {' '.join(text.split())[:600]}"
        time.sleep(0.5)
        text = str(call("Runtime.evaluate", expression=_TEXT)["result"].get("value", ""))
    time.sleep(2.0)  # what still slides in
    out.write_bytes(base64.b64decode(call("Page.captureScreenshot", format="png")["data"]))
