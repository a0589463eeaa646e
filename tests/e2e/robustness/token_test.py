#!/usr/bin/env python3
"""JSON Web Tokens let in over HTTP, AMQP and MQTT, with the rights that they say and no longer than they say."""

import base64
import contextlib
import http.client
import json
import os
import signal
import tempfile
import threading
import time
import unittest

import jwt
import paho.mqtt.client as mqtt
import pika
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

import harness

ISSUER = "https://issuer.example"


def public_numbers(key):
    def encoded(n):
        return base64.urlsafe_b64encode(n.to_bytes((n.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()
    n = key.public_key().public_numbers()
    return {"kty": "RSA", "n": encoded(n.n), "e": encoded(n.e)}


class Issuer:
    """Whoever signs; its keys lie in a file."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "jwks.json")
        self.rotate("first")

    def rotate(self, kid):
        self.kid = kid
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        with open(self.path, "w", encoding="utf-8") as f:
            json.dump({"keys": [{"kid": kid, "use": "sig", "alg": "RS256", **public_numbers(self.key)}]}, f)

    def token(self, scopes, seconds=60, **claims):
        said = {"sub": "ann", "iss": ISSUER, "aud": "rabbitmq", "exp": int(time.time()) + seconds,
                "scope": " ".join("rabbitmq." + s for s in scopes.split()), **claims}
        return jwt.encode(said, self.key, "RS256", {"kid": self.kid})


EVERYTHING = "read:*/*/* write:*/*/* configure:*/*/*"


class Tokens(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.issuer = Issuer(folder.name)
        config = f"""
shards = 2
[tokens]
resource_server = "rabbitmq"
jwks_file = "{self.issuer.path}"
issuer = "{ISSUER}"
leeway = "0s"
"""
        self.broker = harness.Linnetd(config=config, listen=("amqp=127.0.0.1:0", "mqtt=127.0.0.1:0",
                                                             "http=127.0.0.1:0")).start()
        self.addCleanup(self.broker.stop)

    # ---- Ways in --------------------------------------------------------------------------------

    def open(self, method, path, token=None, body=None, basic=None, headers=()):
        link = http.client.HTTPConnection(*self.broker.address_of("http"), timeout=30)
        self.addCleanup(link.close)
        said = dict(headers)
        if token is not None:
            said["Authorization"] = "Bearer " + token
        if basic is not None:
            said["Authorization"] = "Basic " + base64.b64encode(basic.encode()).decode()
        link.request(method, path, body, said)
        return link.getresponse()

    def status(self, *args, **more):
        answer = self.open(*args, **more)
        answer.read()
        return answer.status

    def amqp(self, token, user="whoever", vhost="/"):
        return pika.BlockingConnection(pika.ConnectionParameters(
            *self.broker.address, vhost, pika.PlainCredentials(user, token), heartbeat=0))

    def mqtt(self, token, user="whoever", client_id="", will=None):
        answered, reasons = threading.Event(), []
        client = mqtt.Client(client_id=client_id, protocol=mqtt.MQTTv5)
        client.username_pw_set(user, token)
        if will:
            client.will_set(*will, qos=1)
        client.on_connect = lambda _c, _u, _f, reason, *_p: (reasons.append(reason.value), answered.set())
        client.connect(*self.broker.address_of("mqtt"))
        client.loop_start()
        self.addCleanup(client.loop_stop)
        self.assertTrue(answered.wait(20))
        if reasons[0] != 0:
            client.loop_stop()  # else it would come back again and again
        return client, reasons[0]

    # ---- Who --------------------------------------------------------------------------------------

    def test_a_token_logs_in_everywhere_and_says_who_it_is(self):
        token = self.issuer.token(EVERYTHING + " tag:administrator")
        who = json.loads(self.open("GET", "/api/whoami", token).read())
        self.assertEqual(("ann", ["administrator"]), (who["name"], who["tags"]))
        self.assertEqual(200, self.status("GET", "/api/whoami", basic="whoever:" + token))
        with self.amqp(token) as link:
            channel = link.channel()
            channel.queue_declare("q")
            self.assertEqual(201, self.status("POST", "/v1/%2F/q/q", token, b"hello"))
            _, properties, body = channel.basic_get("q", auto_ack=True)
            self.assertEqual(b"hello", body)
            # Nobody may speak in another's name.
            channel.basic_publish("", "q", b"x", pika.BasicProperties(user_id="ann"))
            connections = json.loads(self.open("GET", "/api/connections", token).read())
            self.assertEqual(["ann"], [c["user"] for c in connections])
            channel.basic_publish("", "q", b"x", pika.BasicProperties(user_id="guest"))
            with self.assertRaises(pika.exceptions.ChannelClosedByBroker):
                channel.queue_declare("q", passive=True)
        _, reason = self.mqtt(token)
        self.assertEqual(0, reason)

    def test_what_is_no_token_of_ours_is_refused_everywhere(self):
        other = Issuer(tempfile.mkdtemp())
        for name, token in (("forged", other.token(EVERYTHING)),
                            ("none", jwt.encode({"sub": "ann", "aud": "rabbitmq", "iss": ISSUER,
                                                 "exp": 2_000_000_000}, None, "none")),
                            ("old", self.issuer.token(EVERYTHING, seconds=-1)),
                            ("others", self.issuer.token(EVERYTHING, aud="somebody")),
                            ("an issuer", self.issuer.token(EVERYTHING, iss="https://else")),
                            ("ed25519", jwt.encode({"sub": "ann"}, ed25519.Ed25519PrivateKey.generate(), "EdDSA"))):
            with self.subTest(name):
                answer = self.open("GET", "/api/whoami", token)
                self.assertEqual(401, answer.status)
                self.assertIn('Bearer realm="Linnet", error="invalid_token"', answer.headers.get_all("WWW-Authenticate"))
                self.assertNotIn(b"expired", answer.read(), "the client learns nothing of why")
                with self.assertRaises(pika.exceptions.ProbableAuthenticationError) as refused:
                    self.amqp(token)
                self.assertIn("(403)", str(refused.exception))
                self.assertEqual(0x86, self.mqtt(token)[1])
        with contextlib.suppress(ConnectionError):  # or it has hung up before all of that was sent
            self.assertEqual(431, self.status("GET", "/api/whoami", "e" * (1 << 20)))
        self.assertEqual(401, self.status("GET", "/api/whoami", "a.b.c"))
        self.assertEqual(401, self.status("GET", "/v1/%2F/q"))

    # ---- What -------------------------------------------------------------------------------------

    def test_scopes_are_rights_the_same_for_all(self):
        setup = self.issuer.token(EVERYTHING)
        with self.amqp(setup) as link:
            link.channel().queue_declare("mine")
            link.channel().queue_declare("other")
        token = self.issuer.token("write:%2F/mine write:%2F/amq.default read:%2F/mine write:%2F/amq.topic/a.*")
        # HTTP
        self.assertEqual(201, self.status("POST", "/v1/%2F/q/mine", token, b"x"))
        self.assertEqual(200, self.status("GET", "/v1/%2F/q/mine", token))
        self.assertEqual(403, self.status("GET", "/v1/%2F/q/other", token))
        self.assertEqual(404, self.status("POST", "/v1/%2F/t/a/b", token, b"x"), "nobody listens, but it may")
        self.assertEqual(403, self.status("POST", "/v1/%2F/t/b/a", token, b"x"))
        self.assertEqual(401, self.status("GET", "/api/queues", token), "no management without a tag")
        # AMQP
        with self.amqp(token) as link:
            channel = link.channel()
            channel.confirm_delivery()
            channel.basic_publish("amq.topic", "a.b", b"x")
            for refused in (lambda c: c.basic_publish("amq.topic", "b.a", b"x"),
                            lambda c: c.basic_get("other"), lambda c: c.queue_declare("new"),
                            lambda c: c.basic_publish("amq.fanout", "", b"x")):
                channel = link.channel()
                channel.confirm_delivery()
                with self.assertRaises(pika.exceptions.ChannelClosedByBroker) as closed:
                    refused(channel)
                self.assertEqual(403, closed.exception.reply_code)
        # MQTT
        client, reason = self.mqtt(token)
        self.assertEqual(0, reason)
        codes = []
        client.on_subscribe = lambda _c, _u, _m, granted, *_p: codes.append(granted[0].value)
        client.subscribe("a/b", qos=0)
        self.until(lambda: codes)
        self.assertEqual([0x87], codes, "write is not read")

    def test_no_user_of_the_same_name_lends_it_rights(self):
        token = self.issuer.token("read:v/*", sub="guest")
        self.assertEqual(403, self.status("GET", "/v1/%2F/q", token))
        with self.assertRaises(pika.exceptions.ProbableAccessDeniedError) as refused:
            self.amqp(token)
        self.assertIn("(530)", str(refused.exception))
        self.assertEqual(0x87, self.mqtt(token)[1])
        self.assertEqual(401, self.status("GET", "/api/queues", token))

    # ---- Until when -------------------------------------------------------------------------------

    def test_a_route_is_explained_by_the_rights_of_the_token(self):
        token = self.issuer.token("write:*/mine read:*/x tag:management")

        def explain(**asked):
            answer = self.open("POST", "/api/x/explain/%2F", token, json.dumps(asked).encode())
            return answer.status, json.loads(answer.read())

        self.assertEqual((404, 404), (self.status("POST", "/v1/%2F/x/mine/k", token, b"m"),
                                      self.status("POST", "/v1/%2F/x/mine", token, b"m")), "it may, but it is not there")
        self.assertIn("no exchange", explain(exchange="mine")[1]["refusal"]["reason"])
        self.assertEqual(403, self.status("POST", "/v1/%2F/x/amq.direct/k", token, b"m"))
        status, told = explain(exchange="amq.direct", routing_key="k")
        self.assertEqual((200, "ann", False), (status, told["user"], told["allowed"]))
        self.assertEqual({"right": "write", "resource": "amq.direct", "granted_by": "token", "pattern": None},
                         {k: v for k, v in told["refusal"].items() if k != "reason"})
        self.assertEqual(401, explain(exchange="amq.direct", user="guest")[0])

    def until(self, what, seconds=20):
        deadline = time.monotonic() + seconds
        while not what():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def test_what_a_token_has_let_in_ends_with_it(self):
        with self.amqp(self.issuer.token(EVERYTHING)) as link:
            link.channel().queue_declare("q")
        token = self.issuer.token(EVERYTHING, seconds=3)
        ends = jwt.decode(token, options={"verify_signature": False})["exp"]
        events = self.open("GET", "/v1/%2F/q/q/events", token)
        self.assertEqual(200, events.status)
        live = self.open("GET", "/v1/%2F/events?topic=%23", token)
        self.assertEqual(200, live.status)
        link = self.amqp(token)
        client, _ = self.mqtt(token)
        parted = []
        client.on_disconnect = lambda _c, _u, reason, *_p: parted.append(getattr(reason, "value", reason))
        self.assertEqual(401, self.status("GET", "/v1/%2F/q/q?wait=30", token), "the poll ends, too")
        self.assertGreaterEqual(time.time(), ends)
        events.read()  # to its end
        live.read()
        with self.assertRaises(pika.exceptions.ConnectionClosedByBroker) as closed:
            while True:
                link.process_data_events(5)
        self.assertEqual((320, "CONNECTION_FORCED - credential expired"),
                         (closed.exception.reply_code, closed.exception.reply_text))
        self.until(lambda: parted)
        self.assertEqual(0x87, parted[0])
        self.assertEqual(401, self.status("GET", "/v1/%2F/q", token))

    def test_an_amqp_client_renews_its_token(self):
        client = harness.Client(self.broker.address, "whoever", self.issuer.token("read:*/* configure:*/*", seconds=2))
        client.declare("q")

        def renew(token):
            return client.call(0, "connection.update-secret", new_secret=token, reason="it ends soon")

        renew(self.issuer.token(EVERYTHING, seconds=60))
        time.sleep(3)  # the first one has ended
        client.call(1, "confirm.select")
        client.publish("k", exchange="amq.topic")  # by the new one's rights
        client.expect(1, "basic.ack")
        with self.assertRaises(harness.Refused) as refused:
            renew(self.issuer.token(EVERYTHING, sub="bob"))
        self.assertEqual((530, "NOT_ALLOWED - New secret was refused by one of the backends"),
                         (refused.exception.code, refused.exception.text))

    def test_a_last_will_is_said_by_the_rights_of_the_token(self):
        listener, _ = self.mqtt(self.issuer.token(EVERYTHING))
        heard = []
        listener.on_message = lambda _c, _u, m: heard.append(m.topic)
        subscribed = threading.Event()
        listener.on_subscribe = lambda *_: subscribed.set()
        listener.subscribe("will/#", qos=1)
        self.assertTrue(subscribed.wait(20))
        _, refused = self.mqtt(self.issuer.token("write:%2F/amq.topic/will.mine read:*/*"), will=("will/other", b"x"))
        self.assertEqual(0x87, refused)
        client, _ = self.mqtt(self.issuer.token("write:%2F/amq.topic/will.mine read:*/*"), will=("will/mine", b"x"))
        client._sock.close()
        self.until(lambda: heard)
        self.assertEqual(["will/mine"], heard)

    # ---- Keys -------------------------------------------------------------------------------------

    def test_keys_are_read_again(self):
        old = self.issuer.token(EVERYTHING)
        self.assertEqual(200, self.status("GET", "/v1/%2F/q", old))
        self.issuer.rotate("second")
        new = self.issuer.token(EVERYTHING)
        self.assertEqual(401, self.status("GET", "/v1/%2F/q", new))
        self.broker.signal(signal.SIGHUP)
        self.until(lambda: self.status("GET", "/v1/%2F/q", new) == 200)
        self.assertEqual(401, self.status("GET", "/v1/%2F/q", old), "its key is not there any more")
        # A file that is none leaves everything as it was.
        with open(self.issuer.path, "w", encoding="utf-8") as f:
            f.write("{}")
        self.broker.signal(signal.SIGHUP)
        self.until(lambda: "jwks" in self.broker.log_text())
        self.assertEqual(200, self.status("GET", "/v1/%2F/q", new))

    def test_secrets_are_for_those_who_say_so(self):
        shared = "a secret of thirty-two bytes, or so"
        config = f"""
[tokens]
resource_server = "rabbitmq"
algorithms = ["HS256"]
secret = "{shared}"
"""
        with harness.Linnetd(config=config, listen=("http=127.0.0.1:0",)) as broker:
            self.broker = broker
            claims = {"sub": "ann", "aud": ["rabbitmq"], "exp": int(time.time()) + 60,
                      "scope": ["rabbitmq.read:*/*"]}
            self.assertEqual(200, self.status("GET", "/v1/%2F/q", jwt.encode(claims, shared, "HS256")))
            self.assertEqual(401, self.status("GET", "/v1/%2F/q", jwt.encode(claims, shared + "x", "HS256")))
            self.assertEqual(401, self.status("GET", "/v1/%2F/q", self.issuer.token(EVERYTHING)))
        for wrong, why in (('algorithms = ["HS256"]\nsecret = "short"', "shorter than 32 bytes"),
                           ('algorithms = ["HS256"]', "needed for HS256"),
                           (f'secret = "{shared}"', "HS256 is not among them"),
                           ('jwks_file = "/nowhere"', "cannot be read"),
                           ("", "the keys that tokens are checked with")):
            with self.assertRaises(harness.linnetd.StartError) as refused:
                harness.Linnetd(config=f'[tokens]\nresource_server = "rabbitmq"\n{wrong}\n').start()
            self.assertIn(why, str(refused.exception))


if __name__ == "__main__":
    unittest.main()
