#!/usr/bin/python3
"""The outputs of `linnet`, letter by letter, against a scripted management API.

    LINNET=.../linnet tests/e2e/cli/golden_test.py [--write]

Each case is a command line; golden.txt holds what it printed, what it said, its exit code, and what it asked the
server for. --write records them anew: read the difference before it is committed.
"""

import difflib
import http.server
import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "golden.txt")

QUEUES = [
    {"name": "orders", "vhost": "/", "type": "classic", "state": "running", "durable": True, "auto_delete": False,
     "exclusive": False, "messages": 12, "messages_ready": 10, "messages_unacknowledged": 2, "consumers": 1,
     "message_stats": {"publish_details": {"rate": 3.5}}, "arguments": {"x-max-length": 5}},
    {"name": "gar,bled \"x\"", "vhost": "/", "type": "quorum", "state": "running", "durable": True,
     "auto_delete": False, "exclusive": False, "messages": 300, "messages_ready": 300, "messages_unacknowledged": 0,
     "consumers": 0, "arguments": {}},
    {"name": "\u001b[2Jevil", "vhost": "t", "type": "classic", "state": "idle", "durable": False, "auto_delete": True,
     "exclusive": False, "messages": 0, "messages_ready": 0, "messages_unacknowledged": 0, "consumers": 0,
     "arguments": {}},
]

BINDINGS = [{"source": "ex", "vhost": "/", "destination": "orders", "destination_type": "queue", "routing_key": "a.#",
             "arguments": {}, "properties_key": "a.%23"}]

MESSAGES = [{"payload_bytes": 5, "redelivered": False, "exchange": "ex", "routing_key": "a.b", "message_count": 9,
             "properties": {"priority": 3}, "payload": "hello", "payload_encoding": "string"}]

EXPLAINED = {
    "vhost": "/", "user": "guest", "exchange": "ex", "routing_keys": ["a.b"], "allowed": True, "refusal": None,
    "routed": True, "by_chance": False,
    "steps": [{"exchange": "ex", "type": "topic", "because": "published", "held": False, "turned_to": None,
               "bindings": [{"source": "ex", "vhost": "/", "destination": "orders", "destination_type": "queue",
                             "routing_key": "a.#", "arguments": {}, "properties_key": "a.%23"},
                            {"source": "ex", "vhost": "/", "destination": "audit", "destination_type": "exchange",
                             "routing_key": "#", "arguments": {}, "properties_key": "%23"}]},
              {"exchange": "audit", "type": "headers", "because": "binding", "held": False, "turned_to": "rest",
               "bindings": []},
              {"exchange": "rest", "type": "x-delayed-message", "because": "alternate", "held": True,
               "turned_to": None,
               "bindings": [{"source": "rest", "vhost": "/", "destination": "log", "destination_type": "queue",
                             "routing_key": "", "arguments": {"n": 1}, "properties_key": "~1"}]}],
    "destinations": [{"name": "orders", "kind": "queue", "durable": True, "delayed": False},
                     {"name": "log", "kind": "stream", "durable": True, "delayed": True}]}
REFUSED = {
    "vhost": "t", "user": "joe", "exchange": "", "routing_keys": ["q"], "allowed": False,
    "refusal": {"reason": "ACCESS_REFUSED - write access to exchange 'amq.default' in vhost 't' refused for user 'joe'",
                "right": "write", "resource": "amq.default", "granted_by": "permissions", "pattern": "^$"},
    "routed": False, "by_chance": False,
    "steps": [{"exchange": "", "type": "direct", "because": "published", "held": False, "turned_to": None,
               "bindings": []}], "destinations": []}

FLIGHT = {
    "vhost": "/", "message_id": "m/1",
    "events": [{"time": "2026-01-02T03:04:05.000001Z", "event": "published", "exchange": "", "routing_key": "orders",
                "cut": True, "routed": 1, "delayed": False, "connection": "127.0.0.1:1 -> 127.0.0.1:2"},
               {"time": "2026-01-02T03:04:05.000002Z", "event": "queued", "queue": "orders", "position": 7},
               {"time": "2026-01-02T03:04:05.000003Z", "event": "delivered", "queue": "orders", "position": 7,
                "redelivered": True, "ack_required": False, "consumer_tag": "c", "connection": None},
               {"time": "2026-01-02T03:04:05.000004Z", "event": "rejected", "queue": None, "position": 7},
               {"time": "2026-01-02T03:04:05.000005Z", "event": "dead-lettered", "exchange": "later",
                "routing_key": "k", "cut": False, "routed": 0, "delayed": True, "connection": None}],
    "places": [{"queue": "orders", "position": 7, "state": "ready", "since": "2026-01-02T03:04:05.000002Z"}],
    "left_off": 3, "recorder": {"on": True, "since": None}}
UNKNOWN = {"vhost": "/", "message_id": "none", "events": [], "places": [], "left_off": 0,
           "recorder": {"on": True, "since": None}}
SWITCHED_OFF = {**UNKNOWN, "recorder": {"on": False, "since": None}}

DEFINITIONS = {"users": [{"name": "guest", "tags": ["administrator"]}],
               "queues": [{"name": "orders", "vhost": "/", "durable": True, "auto_delete": False, "arguments": {}}],
               "bindings": []}

ANSWERS = {
    ("GET", "/api/queues"): (200, QUEUES),
    ("GET", "/api/queues/%2F"): (200, QUEUES[:2]),
    ("GET", "/api/queues/%2F/orders"): (200, QUEUES[0]),
    ("GET", "/api/queues/%2F/none"): (404, {"error": "Object Not Found", "reason": "Not Found"}),
    ("PUT", "/api/queues/%2F/new"): (201, None),
    ("PUT", "/api/queues/%2F/orders"): (400, {"error": "bad_request", "reason": "inequivalent arg 'x-max-length'"}),
    ("DELETE", "/api/queues/%2F/orders?if-empty=true&if-unused=true"): (204, None),
    ("DELETE", "/api/queues/%2F/orders/contents"): (204, None),
    ("POST", "/api/queues/%2F/orders/get"): (200, MESSAGES),
    ("GET", "/api/bindings/%2F/e/ex/q/orders"): (200, BINDINGS),
    ("POST", "/api/bindings/%2F/e/ex/q/orders"): (201, None),
    ("DELETE", "/api/bindings/%2F/e/ex/q/orders/a.%2523"): (204, None),
    ("POST", "/api/x/explain/%2F"): (200, EXPLAINED),
    ("POST", "/api/x/explain/t"): (200, REFUSED),
    ("GET", "/api/x/where/%2F/m%2F1"): (200, FLIGHT),
    ("GET", "/api/x/where/%2F/none"): (200, UNKNOWN),
    ("GET", "/api/x/where/t/off"): (200, SWITCHED_OFF),
    ("GET", "/api/users"): (401, {"error": "not_authorised", "reason": "Not management user"}),
    ("PUT", "/api/users/joe"): (201, None),
    ("PUT", "/api/permissions/%2F/joe"): (201, None),
    ("PUT", "/api/policies/%2F/p"): (204, None),
    ("GET", "/api/definitions"): (200, DEFINITIONS),
    ("POST", "/api/definitions"): (204, None),
    ("DELETE", "/api/queues/%2F/orders"): (204, None),
    ("DELETE", "/api/connections/127.0.0.1%3A1%20-%3E%20127.0.0.1%3A2"): (204, None),
    ("POST", "/api/exchanges/%2F/amq.default/publish"): (200, {"routed": False}),
    ("GET", "/api/nodes"): (200, "<html>"),
    ("GET", "/api/channels"): (200, {"not": "a list"}),
    ("GET", "/api/vhosts"): (503, None),
}

# Command lines; URL stands for the server, and FOLDER for one with files.
CASES = [
    "queue ls", "queue ls -p /", "queue ls -o wide", "queue ls -o json --columns name,messages", "queue ls -o jsonl "
    "--columns name,in/s", "queue ls -o csv", "queue ls -o yaml", "queue ls -o name", "queue ls --no-headers "
    "--sort=-messages --columns messages,name", "queue ls --filter messages>11 --filter type=classic", "queue ls --filter "
    "nonsense", "queue show orders", "queue show orders -o json", "queue show none", "queue create new --type quorum "
    "--arg x-max-length=5 --arg x-overflow=reject-publish", "queue create new --dry-run", "queue create orders -q --arg "
    "x-max-length=6", "queue create x --arg nonsense", "queue delete orders", "queue delete orders -y --if-empty "
    "--if-unused", "queue purge orders -y", "queue purge orders --dry-run", "queue peek orders", "queue get orders "
    "--count 5 -o json", "queue peek orders --count x", "binding create ex orders -k a.#", "binding delete ex orders -k a.# -y",
    "binding delete ex orders -k b -y", "user ls", "user create joe --tags monitoring < secret", "permission set joe --write ^a",
    "policy set p ^o max-length=10 --apply-to queues --priority 2", "connection kill '127.0.0.1:1 -> 127.0.0.1:2' -y "
    "--reason tired", "pub URL -k nowhere hello", "definitions export", "definitions diff FOLDER/wanted.json", "definitions apply "
    "FOLDER/wanted.json --prune --dry-run", "definitions apply FOLDER/wanted.json --prune -y", "definitions diff FOLDER/none.json",
    "definitions diff FOLDER/broken.json", "node ls", "channel ls", "vhost ls", "context add prod URL -p t", "context ls",
    "context use nope", "context rm prod -q", "context ls -o json", "explain -e ex -k a.b --header n=1", "explain -e ex -k a.b "
    "-o wide", "explain -e ex -k a.b -o name", "explain -t a/b --client c1 -o json --columns allowed,destinations",
    "explain -k q -p t --user joe", "explain --header nonsense", "where m/1", "where m/1 -o wide", "where m/1 -o json --columns "
    "places", "where none", "where off -p t",
]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        size = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(size).decode()
        reason = self.headers.get("X-Reason")
        self.server.asked.append(f"{self.command} {self.path}" + (f" {body}" if body else "") +
                                 (f" ({reason})" if reason else ""))
        code, content = ANSWERS.get((self.command, self.path), (404, {"reason": "not scripted"}))
        text = "" if content is None else content if isinstance(content, str) else json.dumps(content)
        self.send_response(code)
        # One of the two ways in which a body ends.
        if code == 200 and len(text) > 200:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for at in range(0, len(text), 100):
                piece = text[at:at + 100].encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
            return
        if code != 204:
            self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_PUT = do_POST = do_DELETE = answer

    def log_message(self, *_):
        pass


def run(case, url, folder, asked):
    words = shlex.split(case.replace("URL", url).replace("FOLDER", folder))
    given = None
    if "<" in words:
        given = words[words.index("<") + 1] + "\n"
        words = words[:words.index("<")]
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LINNET_", "RABBITMQ_", "AMQP_", "CLOUDAMQP_"))}
    env |= {"LINNET_URL": url, "XDG_CONFIG_HOME": folder}
    del asked[:]
    done = subprocess.run([os.environ["LINNET"], *words], env=env, input=given or "", text=True, timeout=30,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    lines = [f"$ linnet {case}"]
    lines += [f"-> {each}" for each in asked]
    lines += [f"   {each}" for each in done.stdout.splitlines()]
    lines += [f" ! {each}" for each in done.stderr.splitlines()]
    lines.append(f"= {done.returncode}")
    port = url.rsplit(":", 1)[1]
    return "\n".join(lines).replace(f":{port}", ":PORT").replace(folder, "FOLDER").replace("\x1b", "<ESC>") + "\n"


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://guest:guest@127.0.0.1:{server.server_port}"
    with tempfile.TemporaryDirectory(prefix="linnet-cli-") as folder:
        with open(os.path.join(folder, "wanted.json"), "w", encoding="utf-8") as f:
            json.dump({"users": [], "queues": [{"name": "more", "vhost": "/", "durable": True, "auto_delete": False,
                                                "arguments": {}}]}, f)
        with open(os.path.join(folder, "broken.json"), "w", encoding="utf-8") as f:
            f.write("{\"queues\": [")
        text = "\n".join(run(case, url, folder, server.asked) for case in CASES)
    server.shutdown()
    if "--write" in sys.argv:
        with open(GOLDEN, "w", encoding="utf-8") as f:
            f.write(text)
        return 0
    with open(GOLDEN, encoding="utf-8") as f:
        wanted = f.read()
    if text == wanted:
        print(f"{len(CASES)} command lines: all as recorded")
        return 0
    sys.stdout.writelines(difflib.unified_diff(wanted.splitlines(True), text.splitlines(True), "golden.txt", "now"))
    return 1


if __name__ == "__main__":
    sys.exit(main())
