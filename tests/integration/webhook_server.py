#!/usr/bin/env python3
"""A receiver of webhooks for tests: writes down what it gets, answers what it is told.

usage: webhook_server.py RECORD [--script FILE] [--secret KEY] [--port N]

Prints "port N" once it listens on 127.0.0.1 and ends when its standard input does.

RECORD gets one JSON object a request: method, path, headers (names in lower case), body (text), the
status that it answers and, with --secret, signature_ok: whether x-weir-signature fits the body.
FILE has one JSON object a request, in their order (beyond its end: 200), read anew each time:
  {"status": 503, "delay_ms": 2000, "body": "...", "body_bytes": 100000, "headers": {...}, "hang_up": true}
"""

import argparse
import hashlib
import hmac
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def scripted(path, number):
    try:
        with open(path, encoding="utf-8") as script:
            lines = script.read().splitlines()
    except (OSError, TypeError):
        return {}
    return json.loads(lines[number]) if number < len(lines) else {}


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        seen = {"method": self.command, "path": self.path,
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "body": body.decode("utf-8", "replace")}
        options = self.server.options
        if options.secret:
            digest = hmac.new(options.secret.encode(), body, hashlib.sha256).hexdigest()
            seen["signature_ok"] = self.headers.get("X-Weir-Signature") == "sha256=" + digest
        with self.server.lock:
            orders = scripted(options.script, self.server.count)
            self.server.count += 1
            seen["status"] = orders.get("status", 200)
            with open(options.record, "a", encoding="utf-8") as record:
                record.write(json.dumps(seen) + "\n")
        time.sleep(orders.get("delay_ms", 0) / 1000)
        if orders.get("hang_up"):
            self.close_connection = True
            return
        reply = orders.get("body", "").encode() + b"#" * orders.get("body_bytes", 0)
        try:
            self.send_response(orders.get("status", 200))
            for name, value in orders.get("headers", {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client did not wait

    do_GET = do_POST = do_PUT = answer


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # a client that did not wait


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("record")
    parser.add_argument("--script")
    parser.add_argument("--secret")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    server = Server(("127.0.0.1", options.port), Receiver)
    server.options, server.count, server.lock = options, 0, threading.Lock()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("port", server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
