#!/usr/bin/python3
"""HTTP and AMQP, each publishing what the other consumes: curl and http.client on one side, pika on the other."""

import base64
import http.client
import json
import os
import subprocess
import threading

import pika

from checks import URL, check, equal, eventually, fresh, run

HOST = os.environ["HTTP_HOST"]
PORT = int(os.environ["HTTP_PORT"])
LOGIN = {"Authorization": "Basic " + base64.b64encode(b"guest:guest").decode()}


class Http:
    """One connection that is kept, as http.client keeps it."""

    def __init__(self):
        self.connection = http.client.HTTPConnection(HOST, PORT, timeout=20)

    def ask(self, method, path, body=None, **headers):
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, "/v1/%2F" + path, body, LOGIN | fields)
        response = self.connection.getresponse()
        return response.status, response.headers, response.read()


def amqp():
    connection = pika.BlockingConnection(pika.URLParameters(URL))
    channel = connection.channel()
    queue = fresh("http")
    channel.queue_declare(queue, durable=True)
    return connection, channel, queue


def events(path, **headers):
    """An event stream's events, as (id, event, data)."""
    connection = http.client.HTTPConnection(HOST, PORT, timeout=20)
    connection.request("GET", "/v1/%2F" + path, headers=LOGIN | {n.replace("_", "-"): v for n, v in headers.items()})
    response = connection.getresponse()
    equal(response.status, 200, "status of events")

    def read():
        fields, data = {}, []
        for line in response:
            text = line.decode().rstrip("\n")
            if not text:
                if data:
                    yield fields.get("id"), fields.get("event"), "\n".join(data)
                fields, data = {}, []
            elif text.startswith("data:"):
                data.append(text[5:].removeprefix(" "))
            elif not text.startswith(":"):
                name, _, value = text.partition(":")
                fields[name] = value.removeprefix(" ")

    return connection, read()


@check("curl publishes, pika consumes, with every property")
def curl_to_pika():
    connection, channel, queue = amqp()
    done = subprocess.run(
        ["curl", "-sS", "-u", "guest:guest", "-o", "/dev/null", "-w", "%{http_code}", "--data-binary", "hello",
         "-H", "Content-Type: text/plain", "-H", "Message-Id: m1", "-H", "Correlation-Id: c1", "-H", "Reply-To: back",
         "-H", "TTL: 60", "-H", "Priority: 4", "-H", "Type: greeting", "-H", "App-Id: curl", "-H", "Timestamp: 12345",
         "-H", "X-H-color: red", f"http://{HOST}:{PORT}/v1/%2F/q/{queue}"],
        check=True, capture_output=True, text=True, timeout=30)
    equal(done.stdout, "201", "status")
    _, properties, body = channel.basic_get(queue, auto_ack=True)
    equal(body, b"hello", "body")
    equal((properties.content_type, properties.message_id, properties.correlation_id, properties.reply_to,
           properties.expiration, properties.priority, properties.type, properties.app_id, properties.timestamp,
           properties.delivery_mode, properties.headers),
          ("text/plain", "m1", "c1", "back", "60000", 4, "greeting", "curl", 12345, 2, {"color": "red"}), "properties")
    connection.close()


@check("what curl rejects tells pika why, in the dead letter, with what the publisher said")
def rejected_by_curl():
    connection, channel, dead = amqp()
    queue = fresh("http")
    channel.queue_declare(queue, durable=True,
                          arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
    channel.confirm_delivery()
    channel.basic_publish("", queue, b"order", pika.BasicProperties(delivery_mode=2, headers={"n": 1}))
    _, fields, _ = Http().ask("GET", f"/q/{queue}")
    done = subprocess.run(
        ["curl", "-sS", "-u", "guest:guest", "-o", "/dev/null", "-w", "%{http_code}", "-d", "card declined",
         f"http://{HOST}:{PORT}/v1/%2F/leases/{fields['Lease']}/nack?requeue=false"],
        check=True, capture_output=True, text=True, timeout=30)
    equal(done.stdout, "204", "status")
    eventually(lambda: channel.queue_declare(dead, passive=True).method.message_count == 1, "it is buried")
    _, properties, body = channel.basic_get(dead, auto_ack=True)
    headers = properties.headers
    equal((body, headers["n"], headers["x-reject-reason"]), (b"order", 1, "card declined"), "the dead letter")
    equal((headers["x-death"][0]["queue"], headers["x-death"][0]["reason"]), (queue, "rejected"), "its history")
    connection.close()


@check("a large body goes up in chunks, with curl waiting to be asked for it")
def large():
    connection, channel, queue = amqp()
    body = os.urandom(3 << 20)
    done = subprocess.run(
        ["curl", "-sS", "-u", "guest:guest", "-o", "/dev/null", "-w", "%{http_code}", "--data-binary", "@-",
         "-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue", f"http://{HOST}:{PORT}/v1/%2F/q/{queue}"],
        input=body, check=True, capture_output=True, timeout=60)
    equal(done.stdout, b"201", "status")
    equal(Http().ask("GET", f"/q/{queue}")[2] == body, True, "the body came back")
    connection.close()


@check("pika publishes, http.client takes, acknowledges and gives back")
def pika_to_http():
    connection, channel, queue = amqp()
    channel.confirm_delivery()
    for i in range(3):
        channel.basic_publish("", queue, f"m{i}", pika.BasicProperties(
            content_type="text/plain", message_id=f"id{i}", headers={"n": i, "list": [1, "two"]}))
    client = Http()
    status, headers, body = client.ask("GET", f"/q/{queue}")
    equal((status, body, headers["Message-Id"], headers["X-H-n"], headers["X-H-list"]),
          (200, b"m0", "id0", "0", '[1,"two"]'), "the first")
    equal(client.ask("DELETE", "/leases/" + headers["Lease"])[0], 204, "acknowledged")
    status, headers, body = client.ask("GET", f"/q/{queue}?max=10")
    lines = [json.loads(line) for line in body.splitlines()]
    equal([line["body"] for line in lines], ["m1", "m2"], "the others")
    equal(client.ask("POST", f"/leases/{lines[0]['lease']}/nack")[0], 204, "given back")
    equal(client.ask("DELETE", f"/leases/{lines[1]['lease']}")[0], 204, "acknowledged")
    method, _, body = channel.basic_get(queue, auto_ack=True)
    equal((body, method.redelivered), (b"m1", True), "what was given back")
    connection.close()


@check("who waits is answered when pika publishes, on whatever shard")
def long_poll():
    connection, channel, queue = amqp()
    clients = [Http() for _ in range(6)]
    got = []
    threads = [threading.Thread(target=lambda c=c: got.append(c.ask("GET", f"/q/{queue}?wait=15&lease=0")))
               for c in clients]
    for thread in threads:
        thread.start()
    eventually(lambda: channel.queue_declare(queue, passive=True).method.consumer_count == 6, "all wait")
    for i in range(6):
        channel.basic_publish("", queue, str(i))
    for thread in threads:
        thread.join()
    equal(sorted(body for _, _, body in got), [str(i).encode() for i in range(6)], "what came")
    connection.close()


@check("repeated requests publish once, whichever connections they come by")
def idempotent():
    connection, channel, queue = amqp()
    key = fresh("key")
    answers = [Http().ask("POST", f"/q/{queue}", b"once", Idempotency_Key=key) for _ in range(8)]
    equal({status for status, _, _ in answers}, {201}, "statuses")
    equal(channel.queue_declare(queue, passive=True).method.message_count, 1, "messages")
    connection.close()


@check("what is said to be stored outlives its queue's memory: durable and transient queues differ")
def durability():
    connection, channel, queue = amqp()
    passing = fresh("passing")
    channel.queue_declare(passing, exclusive=False, auto_delete=True)
    client = Http()
    equal(client.ask("POST", f"/q/{queue}", b"m")[1]["Durability"], "stored", "durable queue")
    equal(client.ask("POST", f"/q/{queue}", b"m", Durability="memory")[1]["Durability"], "memory", "as asked")
    equal(client.ask("POST", f"/q/{passing}", b"m")[1]["Durability"], "memory", "transient queue")
    connection.close()


@check("topics as events: what pika and HTTP publish, to readers on all shards")
def topic_events():
    connection, channel, _ = amqp()
    topic = fresh("house").replace(".", "-")  # a level may hold a dot, but a key would say it otherwise
    readers = [events(f"/events?topic={topic}/%2B") for _ in range(6)]
    channel.confirm_delivery()
    channel.basic_publish("amq.topic", f"{topic}.kitchen", "21", pika.BasicProperties(content_type="text/plain"))
    equal(Http().ask("POST", f"/t/{topic}/hall", b"\x00\xff")[0], 201, "published")
    for reader, stream in readers:
        first, name, data = next(stream)
        equal((name, data), ("text/plain", "21"), "from pika")
        second, name, data = next(stream)
        equal([first.partition(":")[2], second.partition(":")[2]], ["1", "2"], "where in the shard's history")
        equal((name, base64.b64decode(json.loads(data)["base64"])),
              ("application/octet-stream;base64", b"\x00\xff"), "from HTTP")
        reader.close()
    connection.close()


@check("a stream is replayed, and goes on exactly after the last event")
def stream_events():
    connection, channel, _ = amqp()
    queue = fresh("stream")
    channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "stream"})
    channel.confirm_delivery()
    for i in range(200):
        channel.basic_publish("", queue, str(i), pika.BasicProperties(content_type="text/plain"))
    seen, last = [], None
    while len(seen) < 200:
        # Every seventeen events the connection is lost.
        reader, stream = events(f"/q/{queue}/events?from=first", **({"Last_Event_ID": last} if last else {}))
        for _ in range(min(17, 200 - len(seen))):
            last, _, data = next(stream)
            seen.append(int(data))
        reader.close()
    equal(seen, list(range(200)), "each once, in order")
    reader, stream = events(f"/q/{queue}/events?after=197")
    equal([next(stream)[2], next(stream)[2]], ["198", "199"], "after an offset")
    reader.close()
    reader, stream = events(f"/q/{queue}/events?after=99:5")
    equal(next(stream)[1], "gap", "another history")
    reader.close()
    connection.close()


@check("strangers are refused, and bodies that are too large before they are read")
def refused():
    connection = http.client.HTTPConnection(HOST, PORT, timeout=20)
    connection.request("GET", "/v1/%2F/q")
    equal(connection.getresponse().status, 401, "nobody")
    connection = http.client.HTTPConnection(HOST, PORT, timeout=20)
    connection.putrequest("POST", "/v1/%2F/q/any")
    for name, value in (LOGIN | {"Content-Length": str(1 << 30)}).items():
        connection.putheader(name, value)
    connection.endheaders()
    equal(connection.getresponse().status, 413, "a body of 1 GiB")


run(120)
