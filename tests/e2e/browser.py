# SPDX-License-Identifier: Apache-2.0
"""A real browser, without a window: Chromium, steered over its DevTools pipe (JSON messages, a zero octet behind each)."""

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

import lib

# A browser that starts beside seven builds takes its time.
PATIENCE_S = 90

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update"
    " --disable-sync --disable-extensions --disable-dev-shm-usage --hide-scrollbars --mute-audio --remote-debugging-pipe"
).split()


class Browser:
    """One tab. `said` collects what the console says and what a Content-Security-Policy forbids."""

    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="r53fwd-browser.")
        commands, self.write_fd = os.pipe()
        self.read_fd, answers = os.pipe()

        def plumb():
            # The browser reads from descriptor 3 and writes to 4.
            os.dup2(commands, 10)
            os.dup2(answers, 11)
            os.dup2(10, 3)
            os.dup2(11, 4)
            os.closerange(5, 64)

        with open(os.path.join(self.home, "said"), "wb") as said:
            self.child = subprocess.Popen(
                [lib.find_program("chromium"), *FLAGS, f"--user-data-dir={self.home}/profile", "about:blank"],
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, preexec_fn=plumb, close_fds=False, start_new_session=True,
            )
        os.close(commands)
        os.close(answers)
        self.buffer, self.number, self.session = b"", 0, None
        self.said, self.events = [], []
        pages = [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        self.session = self.call("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "DOM"):
            self.call(f"{domain}.enable")

    def close(self):
        os.close(self.write_fd)
        os.close(self.read_fd)
        try:
            self.child.wait(lib.PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def _receive(self):
        while b"\0" not in self.buffer:
            piece = os.read(self.read_fd, 1 << 20)
            if not piece:
                with open(os.path.join(self.home, "said"), encoding="utf-8", errors="replace") as file:
                    raise AssertionError("the browser has ended:\n" + file.read()[-3000:])
            self.buffer += piece
        text, self.buffer = self.buffer.split(b"\0", 1)
        message = json.loads(text)
        if message.get("method") == "Log.entryAdded":
            self.said.append(message["params"]["entry"]["text"])
        elif message.get("method") == "Runtime.consoleAPICalled":
            self.said.append(str(message["params"]["args"]))
        elif message.get("method") == "Runtime.exceptionThrown":
            self.said.append(message["params"]["exceptionDetails"]["text"])
        elif "method" in message:
            self.events.append(message["method"])
        return message

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write_fd, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]

    def open(self, url):
        """Goes there, and returns once all is loaded."""
        self.events.clear()
        self.call("Page.navigate", url=url)
        self.wait_for_event("Page.loadEventFired")

    def wait_for_event(self, name):
        deadline = time.monotonic() + PATIENCE_S
        while name not in self.events:
            if time.monotonic() > deadline:
                raise AssertionError(f"no {name} within {PATIENCE_S} s")
            self._receive()
        self.events.clear()

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise AssertionError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait_for(self, expression):
        return lib.wait_for(lambda: self.evaluate(expression), patience_s=PATIENCE_S, what=expression)

    def show_as(self, width, height, scheme):
        """A screen of this size whose owner likes it `light` or `dark`."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, name):
        """A PNG's octets. Kept in R53FWD_SHOTS, if that names a folder, for people to look at."""
        octets = base64.b64decode(self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"])
        if os.environ.get("R53FWD_SHOTS"):
            with open(os.path.join(os.environ["R53FWD_SHOTS"], name + ".png"), "wb") as file:
                file.write(octets)
        return octets
