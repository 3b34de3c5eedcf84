"""A headless Chromium, driven by the DevTools protocol over a pair of pipes; standard library only.

A Page keeps what went wrong in it and every request that it made."""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

import weirtest as t  # noqa: E402 its folder is known only now

NAMES = ("chromium", "chromium-browser", "google-chrome")
ANSWER_S = 120  # two loaded cores are slow
FLAGS = ("--headless", "--remote-debugging-pipe", "--disable-gpu", "--disable-dev-shm-usage",
         "--no-first-run", "--no-default-browser-check", "--no-proxy-server", "--mute-audio",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-extensions", "--hide-scrollbars")


def need_chromium():
    """Its program; ends the test with 77 where there is none."""
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if not found:
        print("skipped: needs chromium (deploy/setup packages services)")
        sys.exit(77)
    return found


class Browser:
    """One process with one page at a time; messages are JSON with a NUL behind each."""

    def __init__(self):
        folder = t.folder()
        own_in, self.write_fd = os.pipe()
        self.read_fd, own_out = os.pipe()
        command = [need_chromium(), *FLAGS, f"--user-data-dir={folder}/profile"]
        if os.geteuid() == 0:
            command.append("--no-sandbox")
        with open(os.path.join(folder, "log"), "wb") as log:
            self.process = subprocess.Popen(  # it talks over the descriptors 3 and 4
                ["bash", "-c", 'exec "${@:3}" 3<&"$1" 4>&"$2"', "-", str(own_in), str(own_out),
                 *command], pass_fds=(own_in, own_out), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env={**os.environ, "HOME": folder})
        os.close(own_in)
        os.close(own_out)
        t.at_end(self.end)
        self.rest, self.last_id, self.session, self.listener = b"", 0, None, None

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        os.close(self.read_fd)
        os.close(self.write_fd)

    def receive(self, seconds):
        """The next message, or None when none came in time."""
        deadline = time.monotonic() + seconds
        while b"\0" not in self.rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.read_fd], [], [], left)[0]:
                return None
            part = os.read(self.read_fd, 1 << 20)
            if not part:
                raise t.Failure(f"chromium has ended: {self.process.wait(20)}")
            self.rest += part
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=True, **params):
        self.last_id += 1
        message = {"id": self.last_id, "method": method, "params": params}
        if session and self.session:
            message["sessionId"] = self.session
        os.write(self.write_fd, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + ANSWER_S
        while time.monotonic() < deadline:
            answer = self.receive(deadline - time.monotonic())
            if answer and answer.get("id") == self.last_id:
                if "error" in answer:
                    raise t.Failure(f"{method}: {answer['error']}")
                return answer["result"]
            self.hear(answer)
        raise t.Failure(f"{method}: no answer in {ANSWER_S} s")

    def hear(self, message):
        if message and "method" in message and self.listener:
            self.listener(message["method"], message.get("params", {}))

    def listen(self):
        """Whatever has come meanwhile."""
        while (message := self.receive(0)) is not None:
            self.hear(message)


class Page:
    """A page of an origin. `errors` has the console's and the script's, `requests` all addresses."""

    def __init__(self, browser, width=1600, dark=False):
        self.browser, self.errors, self.requests = browser, [], []
        browser.listener = None
        target = browser.call("Target.createTarget", session=False, url="about:blank")["targetId"]
        browser.session = browser.call("Target.attachToTarget", session=False, targetId=target,
                                       flatten=True)["sessionId"]
        browser.listener = self.note
        for domain in ("Page", "Runtime", "Log", "Network"):
            browser.call(f"{domain}.enable")
        self.look(width, dark)

    def note(self, method, params):
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            thrown = details.get("exception", {}).get("description", "")
            self.errors.append(f"exception: {details['text']} {thrown}")
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            entry = params["entry"]
            self.errors.append(f"{entry['source']}: {entry['text']} {entry.get('url', '')}")
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.errors.append(f"console: {params['args']}")
        elif method == "Page.javascriptDialogOpening":
            self.errors.append(f"dialog: {params['message']}")

    def look(self, width, dark=False):
        height = 844 if width < 500 else 900
        self.browser.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                          deviceScaleFactor=1, mobile=width < 500)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.browser.call("Emulation.setEmulatedMedia", features=[theme])

    def open(self, url):
        self.browser.call("Page.navigate", url=url)
        t.wait_until(ANSWER_S, lambda: self.value(
            "document.readyState === 'complete' && location.href !== 'about:blank'"), url)
        return self

    def value(self, expression):
        """What a JavaScript expression is, by way of JSON."""
        got = self.browser.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in got:
            raise t.Failure(f"{expression}: {got['exceptionDetails']}")
        return got["result"].get("value")

    def text(self, selector):
        """The text of the first such element; empty where there is none or it is hidden."""
        return self.value(f"""(() => {{
            const found = document.querySelector({json.dumps(selector)});
            return found?.checkVisibility() ? found.innerText : "";
        }})()""")

    def texts(self, selector):
        return self.value(f"[...document.querySelectorAll({json.dumps(selector)})]"
                          ".map((one) => one.innerText)")

    def choose(self, selector, value):
        """As a person does by the keyboard: the value and the event of its change."""
        self.value(f"""(() => {{
            const select = document.querySelector({json.dumps(selector)});
            select.focus();
            select.value = {json.dumps(value)};
            select.dispatchEvent(new Event("change", {{bubbles: true}}));
        }})()""")

    def wait(self, holds, what, seconds=120):
        """Until holds() is true; what the page shows where it does not become so."""
        try:
            return t.wait_until(seconds, holds, what)
        except t.Failure as failure:
            shown = self.value("document.body.innerText")
            raise t.Failure(f"{failure}; {self.errors[-5:]}; the page: {shown[:1500]}") from None

    def shoot(self, path):
        got = self.browser.call("Page.captureScreenshot", captureBeyondViewport=True)
        with open(path, "wb") as out:
            out.write(base64.b64decode(got["data"]))
