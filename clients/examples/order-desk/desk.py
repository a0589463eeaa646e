#!/usr/bin/python3
"""The order desk's own server: the page, and the two requests that it makes, passed on to Linnet with a login.

    desk.py [--port 8080] [--call amq.default/orders]      LINNET_URL=http://guest:guest@localhost:15672

So the page knows no password; everything else is Linnet's: the call, the worker's progress, the answer that waits.
"""

import argparse
import base64
import contextlib
import http.client
import http.server
import os
import pathlib
import urllib.parse

LINNET = urllib.parse.urlsplit(os.environ.get("LINNET_URL", "http://guest:guest@localhost:15672"))
LOGIN = "Basic " + base64.b64encode(f"{LINNET.username}:{LINNET.password}".encode()).decode()
CALLS = "/v1/%2F/rpc/"
REPLIES = "/v1/%2F/replies/"
PAGE = pathlib.Path(__file__).with_name("index.html")
BODY_BYTES_MAX = 1000


class Desk(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    call = ""  # the exchange and the key that orders go to

    def do_GET(self):
        if self.path == "/":
            self.say(200, PAGE.read_bytes(), {"Content-Type": "text/html"})
        elif self.path.startswith("/orders/") and self.path.count("/") == 2:
            self.follow(self.path.removeprefix("/orders/"))
        else:
            self.say(404)

    def do_POST(self):
        size = int(self.headers.get("Content-Length", 0))
        if self.path != "/orders" or size > BODY_BYTES_MAX:
            self.close_connection = True
            self.say(404)
            return
        # Nobody waits here: the answer's place is enough.
        try:
            answer = self.ask("POST", CALLS + self.call, {"Content-Type": "text/plain"}, self.rfile.read(size))
        except OSError:
            self.say(502)
            return
        place = answer.headers.get("Location", "").removeprefix(REPLIES)
        self.say(answer.status, fields={"Location": f"/orders/{place}"} if place else {})

    def follow(self, token):
        """The events of one order, as they come."""
        fields = {"Accept": "text/event-stream"}
        if "Last-Event-ID" in self.headers:
            fields["Last-Event-ID"] = self.headers["Last-Event-ID"]
        try:
            answer = self.ask("GET", REPLIES + urllib.parse.quote(token, safe=""), fields)
        except OSError:
            self.close_connection = True  # no answer at all: an EventSource comes back after that, not after a 502
            return
        if answer.status != 200:
            self.say(answer.status)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(OSError):  # the page, or Linnet, has gone: an EventSource comes back by itself
            while line := answer.readline():
                self.wfile.write(line)
                self.wfile.flush()
        self.close_connection = True

    def ask(self, method, path, fields, body=None):
        connection = http.client.HTTPConnection(LINNET.hostname, LINNET.port)
        connection.request(method, path, body, fields | {"Authorization": LOGIN})
        return connection.getresponse()

    def say(self, status, body=b"", fields=None):
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (fields or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--call", default="amq.default/orders", help="where orders go: a queue, or a topic of MQTT's")
    arguments = parser.parse_args()
    Desk.call = arguments.call
    server = http.server.ThreadingHTTPServer(("127.0.0.1", arguments.port), Desk)
    print(f"The order desk is open: http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
