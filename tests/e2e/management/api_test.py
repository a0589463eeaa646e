#!/usr/bin/env python3
"""The management API does what it says, refuses what it must in RabbitMQ's words, and its changes last."""

import base64
import http.client
import itertools
import os
import random
import threading
import time
import unittest
from urllib.parse import quote

import paho.mqtt.client as mqtt
import pika

from api import Api
from broker import Broker

V = "%2F"


def wait_for(what, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if what():
            return True
        time.sleep(0.02)
    return False


def value_at(row, path):
    for name in path.split("."):
        row = row.get(name, "") if isinstance(row, dict) else ""
    return row


class Running(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker().start()
        cls.api = cls.broker.api()

    @classmethod
    def tearDownClass(cls):
        cls.broker.stop()

    def check(self, answer, expected, /, **members):
        self.assertEqual(expected, answer.status, answer)
        if members:
            self.assertEqual(members, {k: answer.json.get(k) for k in members})
        return answer


class Topology(Running):
    def test_queues_come_and_go(self):
        a = self.api
        self.check(a.put(f"queues/{V}/q1", {"durable": True, "arguments": {"x-max-length": 5}}), 201)
        self.check(a.put(f"queues/{V}/q1", {"durable": True, "arguments": {"x-max-length": 5}}), 204)
        self.check(a.put(f"queues/{V}/q1", {"durable": False}), 400, error="bad_request")
        self.check(a.get(f"queues/{V}/q1"), 200, name="q1", vhost="/", type="classic", durable=True,
                   arguments={"x-max-length": 5}, messages=0, consumers=0)
        self.check(a.get("queues//q1"), 200, name="q1")
        self.check(a.post(f"exchanges/{V}/amq.default/publish",
                          {"routing_key": "q1", "payload": "hello", "payload_encoding": "string",
                           "properties": {"delivery_mode": 2, "headers": {"k": 1}}}), 200, routed=True)
        self.check(a.delete(f"queues/{V}/q1?if-empty=true"), 400)
        got = self.check(a.post(f"queues/{V}/q1/get", {"count": 5, "ackmode": "ack_requeue_true",
                                                      "encoding": "auto"}), 200).json
        self.assertEqual(["hello"], [m["payload"] for m in got])
        self.assertEqual(2, got[0]["properties"]["delivery_mode"])
        self.assertEqual({"k": 1}, got[0]["properties"]["headers"])
        self.check(a.get(f"queues/{V}/q1"), 200, messages=1, messages_ready=1)
        got = a.post(f"queues/{V}/q1/get", {"count": 1, "ackmode": "ack_requeue_false",
                                            "encoding": "base64"}).json
        self.assertEqual(("aGVsbG8=", "base64", True),
                         (got[0]["payload"], got[0]["payload_encoding"], got[0]["redelivered"]))
        self.check(a.get(f"queues/{V}/q1"), 200, messages=0)
        self.check(a.delete(f"queues/{V}/q1/contents"), 204)
        self.check(a.delete(f"queues/{V}/q1"), 204)
        self.check(a.delete(f"queues/{V}/q1"), 404, error="Object Not Found", reason="Not Found")

    def test_bindings_are_known_by_their_properties(self):
        a = self.api
        a.put(f"exchanges/{V}/x", {"type": "topic"})
        a.put(f"queues/{V}/bound", {})
        made = self.check(a.post(f"bindings/{V}/e/x/q/bound", {"routing_key": "a.b/c"}), 201)
        where = made.headers["Location"]
        self.assertTrue(where.startswith("/api/bindings/%2F/e/x/q/bound/"), where)
        one = self.check(a.get(where.removeprefix("/api/")), 200, routing_key="a.b/c").json
        self.assertIn(one, a.get(f"bindings/{V}/e/x/q/bound").json)
        keyless = a.post(f"bindings/{V}/e/x/q/bound", {"arguments": {"k": "v"}})
        self.assertRegex(keyless.headers["Location"], r"/~[0-9a-f]{16}$")
        self.assertEqual(3, len(a.get(f"queues/{V}/bound/bindings").json), "with the default exchange's")
        self.check(a.delete(where.removeprefix("/api/")), 204)
        self.check(a.get(where.removeprefix("/api/")), 404)
        self.check(a.delete(f"exchanges/{V}/x?if-unused=true"), 400)
        self.check(a.delete(f"exchanges/{V}/x"), 204)
        self.check(a.delete(f"queues/{V}/bound"), 204)

    def test_names_may_hold_anything(self):
        a = self.api
        for name in ("a%2Fb", "%C3%A4", "a%20b", "q%3Fx", "%2E%2E%2Fetc"):
            self.check(a.put(f"queues/{V}/{name}", {}), 201)
            self.check(a.get(f"queues/{V}/{name}"), 200)
            self.check(a.delete(f"queues/{V}/{name}"), 204)

    def test_policies_reach_queues_that_are_there(self):
        a = self.api
        a.put(f"queues/{V}/limited", {})
        self.check(a.put(f"policies/{V}/short", {"pattern": "^limited$", "definition": {"max-length": 1},
                                                 "apply-to": "queues"}), 201)
        for _ in range(3):
            a.post(f"exchanges/{V}/amq.default/publish", {"routing_key": "limited", "payload": "x",
                                                          "properties": {}})
        self.check(a.get(f"queues/{V}/limited"), 200, messages=1, policy="short",
                   effective_policy_definition={"max-length": 1})
        self.check(a.put(f"policies/{V}/short", {"pattern": "("}), 400)
        self.check(a.delete(f"policies/{V}/short"), 204)
        self.check(a.delete(f"policies/{V}/short"), 404)
        self.check(a.get(f"queues/{V}/limited"), 200, policy=None)
        a.delete(f"queues/{V}/limited")


class Lists(Running):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for n in range(25):
            cls.api.put(f"queues/{V}/list-{n:02}", {})
        for n in range(3):
            for _ in range(n + 1):
                cls.api.post(f"exchanges/{V}/amq.default/publish",
                             {"routing_key": f"list-{n:02}", "payload": "x", "properties": {}})

    def page(self, **query):
        return self.check(self.api.get("queues", **query), 200).json

    def test_a_page_is_an_object(self):
        p = self.page(page=2, page_size=10)
        self.assertEqual((25, 25, 10, 2, 3, 10), tuple(p[k] for k in (
            "total_count", "filtered_count", "item_count", "page", "page_count", "page_size")))
        self.assertEqual([f"list-{n:02}" for n in range(10, 20)], [q["name"] for q in p["items"]])
        self.assertEqual(5, self.page(page=3, page_size=10)["item_count"])
        self.assertEqual(400, self.api.get("queues?page=9&page_size=10").status)
        for bad in ("page=0", "page=x", "page=1&page_size=501", "page=1&page_size=0"):
            self.assertEqual(400, self.api.get("queues?" + bad).status, bad)
        # As scalers ask.
        p = self.page(page=1, use_regex="true", pagination="false", name="^list-0[1-3]$", page_size=100, sort="")
        self.assertEqual(["list-01", "list-02", "list-03"], [q["name"] for q in p["items"]])
        self.assertEqual((25, 3), (p["total_count"], p["filtered_count"]))

    def test_lists_are_sorted_and_cut_by_the_broker(self):
        names = [q["name"] for q in self.page(sort="messages", sort_reverse="true")][:3]
        self.assertEqual(["list-02", "list-01", "list-00"], names)
        names = [q["name"] for q in self.page(sort="message_stats.publish")][-3:]
        self.assertEqual(["list-00", "list-01", "list-02"], names)
        names = [q["name"] for q in self.page(sort="name", sort_reverse="true")][:2]
        self.assertEqual(["list-24", "list-23"], names)
        self.assertEqual([{"name": "list-00", "message_stats": {"publish_details": {"rate": 0.0}}}],
                         [{**q, "message_stats": {"publish_details": {"rate": 0.0}}} for q in
                          self.page(columns="name,message_stats.publish_details.rate", name="list-00")])
        self.assertEqual([{"name": "list-07"}], self.page(columns="name", name="LIST-07"))


    def test_rows_are_sorted_by_what_they_say(self):
        link = pika.BlockingConnection(pika.ConnectionParameters(*self.broker.address))
        channel = link.channel()
        channel.basic_qos(prefetch_count=1)
        for queue in ("list-01", "list-02", "list-20"):
            channel.basic_consume(queue, lambda *_: None)
        channel.basic_consume("list-20", lambda *_: None)
        channel.basic_get("list-00", auto_ack=False)
        link.process_data_events(0.2)
        for path in ("messages", "messages_ready", "messages_unacknowledged", "consumers", "memory", "message_bytes",
                     "message_stats.publish", "message_stats.deliver", "message_stats.deliver_get",
                     "message_stats.publish_details.rate", "effective_policy_definition.none"):
            for page_size in (3, 500):
                rows = self.page(sort=path, page_size=page_size, page=1)["items"]
                back = self.page(sort=path, page_size=page_size, page=1, sort_reverse="true")["items"]
                values = [value_at(row, path) for row in rows]
                self.assertEqual(sorted(values), values, path)
                values = [value_at(row, path) for row in back]
                self.assertEqual(sorted(values, reverse=True), values, path)
                if page_size == 500:
                    self.assertEqual(25, len(rows))
        self.assertEqual("list-20", self.page(sort="consumers", sort_reverse="true", page=1)["items"][0]["name"])
        link.close()


class Pages(Running):
    """A page of queues is found by their order, a whole list by looking at every queue: both are to say the same."""

    def setUp(self):
        self.seed = int(os.environ.get("LINNET_SEED", random.randrange(1 << 32)))
        self.chance = random.Random(self.seed)

    def assert_same(self, base, api, query):
        query = {k: v for k, v in query.items() if v != ""}
        whole = api.get(base, **query, columns="vhost,name").json
        everything = len(api.get(base, columns="name").json)
        size = self.chance.choice((1, 7, 20, 500))
        pages = max(1, -(-len(whole) // size))
        for page in {1, pages, self.chance.randint(1, pages)}:
            p = self.check(api.get(base, **query, page=page, page_size=size, columns="vhost,name"), 200).json
            rows = whole[(page - 1) * size:page * size]
            self.assertEqual(
                {"total_count": everything, "filtered_count": len(whole), "item_count": len(rows), "items": rows,
                 "page": page, "page_count": -(-len(whole) // size), "page_size": size}, p,
                f"{base} {query}, LINNET_SEED={self.seed}")
        self.assertEqual(400, api.get(base, **query, page=pages + 2, page_size=size).status)

    def compare(self):
        for api in (self.api, self.broker.api("limited", "p")):
            for sort, name, reverse in itertools.product(("", "name"), ("", "Q1", "^q[0-4]*$"), ("", "true")):
                query = {"sort": sort, "name": name, "sort_reverse": reverse,
                         "use_regex": "true" if name.startswith("^") else ""}
                self.assert_same("queues", api, query)
                self.assert_same(f"queues/{V}", api, query)

    def test_pages_show_what_the_whole_list_shows(self):
        a, vhosts = self.api, ("/", "a b", "~", "0")
        a.put("users/limited", {"password": "p", "tags": "management"})
        for vhost in vhosts:
            a.put(f"vhosts/{quote(vhost, '')}")
        for vhost in ("/", "~"):
            a.put(f"permissions/{quote(vhost, '')}/limited", {"configure": "", "write": "", "read": ""})
        self.compare()  # where there is none
        kept = mqtt.Client(client_id="kept", clean_session=False)
        kept.connect(*self.broker.address_of("mqtt"))
        kept.subscribe("q1", 1)
        kept.loop_start()
        link = pika.BlockingConnection(pika.ConnectionParameters(*self.broker.address))
        channel = link.channel()
        for _ in range(5):
            channel.queue_declare("", exclusive=True)
            channel.queue_declare("", auto_delete=True)
        for kind in ("stream", "quorum"):
            channel.queue_declare(f"q1 {kind}", durable=True, arguments={"x-queue-type": kind})
        self.assertTrue(wait_for(lambda: a.get(f"queues/{V}/mqtt-subscription-kept").status == 200))
        for _ in range(4):
            for _ in range(60):
                path = f"queues/{quote(self.chance.choice(vhosts), '')}/q{self.chance.randrange(100)}"
                a.delete(path) if self.chance.random() < 0.3 else a.put(path, {"durable": self.chance.random() < 0.5})
            self.compare()
        shown = {q["name"] for q in self.check(a.get("queues", page=1, page_size=500), 200).json["items"]}
        self.assertTrue({"mqtt-subscription-kept", "q1 stream", "q1 quorum"} <= shown)
        self.assertEqual(10, sum(name.startswith("amq.gen-") for name in shown))
        self.check(a.delete(f"vhosts/{quote('a b', '')}"), 204)
        link.close()
        kept.loop_stop()
        kept.disconnect()
        self.assertTrue(wait_for(lambda: not any(
            q["exclusive"] for q in a.get("queues", page=1, page_size=500).json["items"])))
        self.compare()
        self.broker.terminate(20)
        self.broker.start_again()
        type(self).api = self.broker.api()
        self.compare()  # what has come back


class LongLists(Running):
    def test_a_long_list_comes_whole(self):
        for n in range(600):
            self.api.put(f"queues/{V}/many-{n:03}", {"durable": False})
        found = self.api.get("queues?columns=name&name=many")
        self.assertEqual([f"many-{n:03}" for n in range(600)], [q["name"] for q in found.json])
        self.assertEqual(600, self.api.get("overview").json["object_totals"]["queues"])


class Connections(Running):
    def open(self, **options):
        return pika.BlockingConnection(pika.ConnectionParameters(*self.broker.address, **options))

    def test_a_connection_is_shown_and_closed(self):
        link = self.open(client_properties={"connection_name": "mine"})
        channel = link.channel()
        channel.queue_declare("work")
        channel.basic_qos(prefetch_count=7)
        channel.basic_consume("work", lambda *_: None, consumer_tag="me", arguments={"x-priority": 1})
        name = self.api.get("connections").json[0]["name"]
        path = name.replace(" ", "%20").replace(">", "%3E")
        self.check(self.api.get(f"connections/{path}"), 200, user="guest", vhost="/", state="running",
                   protocol="AMQP 0-9-1", user_provided_name="mine", channels=1)
        self.check(self.api.get(f"channels/{path}%20(1)"), 200, number=1, consumer_count=1, prefetch_count=7)
        consumers = self.api.get("consumers").json
        self.assertEqual([("me", name, 1, "work", {"x-priority": 1})],
                         [(c["consumer_tag"], c["channel_details"]["connection_name"],
                           c["channel_details"]["number"], c["queue"]["name"], c["arguments"]) for c in consumers])
        details = self.api.get(f"queues/{V}/work").json["consumer_details"]
        self.assertEqual(["me"], [c["consumer_tag"] for c in details])
        self.check(self.api.delete(f"connections/{path}", {"X-Reason": "enough"}), 204)
        with self.assertRaises(pika.exceptions.ConnectionClosedByBroker) as closed:
            link.process_data_events(10)
        self.assertEqual((320, True), (closed.exception.reply_code, "enough" in closed.exception.reply_text))
        self.assertTrue(wait_for(lambda: self.api.get(f"connections/{path}").status == 404))

    def test_exclusive_queues_tell_their_owner(self):
        link = self.open()
        queue = link.channel().queue_declare("", exclusive=True).method.queue
        shown = self.api.get(f"queues/{V}/{queue}").json
        self.assertTrue(shown["exclusive"])
        self.assertEqual(self.api.get("connections").json[0]["name"], shown["owner_pid_details"]["name"])
        self.assertEqual(400, self.api.delete(f"queues/{V}/{queue}").status)
        link.close()


class Rights(Running):
    """Who may do what: tags for kinds of things, rights in vhosts for the rest."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        a = cls.api
        a.put("vhosts/other")
        for user, tags in (("none", ""), ("manager", "management"), ("policy", "policymaker"),
                           ("monitor", "monitoring"), ("admin", "administrator")):
            a.put(f"users/{user}", {"password": "p", "tags": tags})
            a.put(f"permissions/{V}/{user}", {"configure": "^mine", "write": "^mine", "read": "^mine"})
        a.put("queues/other/hidden", {})

    def as_user(self, user):
        return self.broker.api(user, "p")

    def test_without_a_login_nothing_is_said(self):
        for path in ("overview", "queues", "users", "whoami", "nothing"):
            a = Api(self.broker.address_of("http"), None).get(path)
            self.assertEqual(401, a.status, path)
            self.assertTrue(a.headers["WWW-Authenticate"].startswith("Basic realm="), a.headers)
        self.check(self.broker.api("guest", "wrong").get("overview"), 401)

    def test_every_path_asks_for_its_tag(self):
        reads = {"overview": "manager", "queues": "manager", "exchanges": "manager", "bindings": "manager",
                 "connections": "manager", "channels": "manager", "consumers": "manager", "vhosts": "manager",
                 f"queues/{V}": "manager", "policies": "manager", "parameters": "policy",
                 "global-parameters": "policy", "nodes": "monitor", "users": "admin", "permissions": "admin",
                 "topic-permissions": "admin", "definitions": "admin", "feature-flags": "admin",
                 f"vhosts/{V}/permissions": "admin", "users/guest": "admin", "user-limits": "admin",
                 "connections/username/guest": "monitor", "health/checks/alarms": "manager",
                 f"aliveness-test/{V}": "manager"}
        above = {"manager": ("manager", "policy", "monitor", "admin"), "policy": ("policy", "admin"),
                 "monitor": ("monitor", "admin"), "admin": ("admin",)}
        for path, least in reads.items():
            for user in ("none", "manager", "policy", "monitor", "admin"):
                a = self.as_user(user).get(path)
                self.assertEqual(200 if user in above[least] else 401, a.status, (path, user, a))
                if a.status == 401:
                    self.assertEqual("not_authorised", a.json["error"])
        self.check(self.as_user("none").get("whoami"), 200, name="none")

    def test_writes_ask_for_theirs(self):
        writes = [("PUT", "users/x", "admin", {"tags": ""}), ("DELETE", "users/nobody", "admin", None),
                  ("PUT", "vhosts/made", "admin", {}), ("PUT", f"policies/{V}/p", "policy",
                                                        {"pattern": "x", "definition": {"max-length": 1}}),
                  ("PUT", f"operator-policies/{V}/p", "admin", {"pattern": "x", "definition": {"max-length": 1}}),
                  ("PUT", f"permissions/{V}/none", "admin", {"configure": "^mine", "write": "^mine",
                                                             "read": "^mine"}),
                  ("PUT", "global-parameters/p", "admin", {"value": 1}), ("POST", "definitions", "admin", {}),
                  ("PUT", f"vhost-limits/{V}/max-queues", "admin", {"value": -1}),
                  ("POST", "rebalance/queues", "admin", {})]
        may = {"admin": ("admin",), "policy": ("policy", "admin")}
        for method, path, least, body in writes:
            for user in ("none", "manager", "policy", "monitor", "admin"):
                a = self.as_user(user).request(method, path, body)
                self.assertEqual(user not in may[least], a.status == 401, (method, path, user, a))

    def test_vhosts_without_rights_are_closed(self):
        a = self.as_user("manager")
        self.assertEqual(["/"], [v["name"] for v in a.get("vhosts").json])
        self.assertEqual([], [q for q in a.get("queues").json if q["vhost"] == "other"])
        for method, path, body in (("GET", "queues/other", None), ("GET", "queues/other/hidden", None),
                                   ("PUT", "queues/other/new", {}), ("DELETE", "queues/other/hidden", None),
                                   ("DELETE", "queues/other/hidden/contents", None),
                                   ("POST", "queues/other/hidden/get", {"count": 1, "encoding": "auto"}),
                                   ("GET", "exchanges/other", None), ("GET", "bindings/other", None),
                                   ("POST", "exchanges/other/amq.direct/publish",
                                    {"routing_key": "x", "payload": "x"})):
            self.check(a.request(method, path, body), 401, error="not_authorised")
        self.assertEqual(["hidden"], [q["name"] for q in self.as_user("monitor").get("queues").json
                                      if q["vhost"] == "other"])

    def test_rights_on_names_count_as_over_amqp(self):
        a = self.as_user("manager")
        self.check(a.put(f"queues/{V}/mine-1", {}), 201)
        self.check(a.put(f"queues/{V}/yours", {}), 401)
        self.check(a.put(f"exchanges/{V}/yours", {}), 401)
        self.check(a.put(f"exchanges/{V}/mine-x", {}), 201)
        self.check(a.post(f"bindings/{V}/e/mine-x/q/mine-1", {"routing_key": "k"}), 201)
        self.check(a.post(f"bindings/{V}/e/amq.direct/q/mine-1", {"routing_key": "k"}), 401)
        self.check(a.post(f"exchanges/{V}/mine-x/publish", {"routing_key": "k", "payload": "x",
                                                            "properties": {}}), 200, routed=True)
        self.check(a.post(f"exchanges/{V}/amq.direct/publish", {"routing_key": "k", "payload": "x",
                                                                "properties": {}}), 401)
        self.check(self.api.put(f"queues/{V}/guests", {}), 201)
        for method, path, body in (("DELETE", f"queues/{V}/guests", None),
                                   ("DELETE", f"queues/{V}/guests/contents", None),
                                   ("POST", f"queues/{V}/guests/get", {"count": 1, "encoding": "auto"})):
            self.check(a.request(method, path, body), 401)
        self.check(a.delete(f"queues/{V}/mine-1"), 204)

    def test_what_passes_messages_on_needs_the_right_to_write_there(self):
        a = self.as_user("manager")
        self.check(a.put(f"exchanges/{V}/mine-end", {"type": "fanout"}), 201)
        for exchange, status in (("amq.fanout", 401), ("mine-end", 201)):
            self.check(a.put(f"queues/{V}/mine-q", {"arguments": {"x-dead-letter-exchange": exchange}}), status)
            self.check(a.put(f"exchanges/{V}/mine-a", {"arguments": {"alternate-exchange": exchange}}), status)
        # What is there already is only compared, as over AMQP.
        self.check(a.put(f"queues/{V}/mine-q", {"arguments": {"x-dead-letter-exchange": "amq.fanout"}}), 400)
        for path in ("queues/{}/mine-q", "exchanges/{}/mine-a", "exchanges/{}/mine-end"):
            self.check(a.delete(path.format(V)), 204)

    def test_bindings_are_no_wider_than_the_rights_on_topics(self):
        a = self.as_user("manager")
        self.check(a.put(f"exchanges/{V}/mine-t", {"type": "topic"}), 201)
        self.check(a.put(f"queues/{V}/mine-q", {}), 201)
        self.check(self.api.put(f"topic-permissions/{V}/manager", {"exchange": "mine-t", "write": "",
                                                                   "read": r"^mine\.[a-z]+$"}), 201)
        try:
            for key, status in (("#", 401), ("mine.#", 401), ("yours.a", 401), ("mine.a", 201)):
                self.check(a.post(f"bindings/{V}/e/mine-t/q/mine-q", {"routing_key": key}), status)
            self.check(self.api.post(f"bindings/{V}/e/mine-t/q/mine-q", {"routing_key": "#"}), 201)
            keys = {b["routing_key"]: quote(b["properties_key"], safe="")
                    for b in self.api.get(f"bindings/{V}/e/mine-t/q/mine-q").json}
            self.check(a.delete(f"bindings/{V}/e/mine-t/q/mine-q/{keys['#']}"), 401)
            self.check(a.delete(f"bindings/{V}/e/mine-t/q/mine-q/{keys['mine.a']}"), 204)
        finally:
            self.check(self.api.delete(f"topic-permissions/{V}/manager"), 204)
        self.check(a.delete(f"queues/{V}/mine-q"), 204)
        self.check(a.delete(f"exchanges/{V}/mine-t"), 204)

    def test_only_monitors_see_others_connections(self):
        link = pika.BlockingConnection(pika.ConnectionParameters(*self.broker.address))
        self.assertEqual([], self.as_user("manager").get("connections").json)
        self.assertEqual(1, len(self.as_user("monitor").get("connections").json))
        name = self.as_user("monitor").get("connections").json[0]["name"].replace(" ", "%20").replace(">", "%3E")
        self.check(self.as_user("manager").delete(f"connections/{name}"), 404)
        self.check(self.as_user("monitor").delete(f"connections/{name}"), 404)  # sees it, no more
        link.process_data_events()
        self.check(self.as_user("admin").delete(f"connections/{name}"), 204)

    def test_parameters_ask_for_rights_in_their_vhost(self):
        self.check(self.api.put("vhosts/foreign", {}), 201)
        self.check(self.api.put("parameters/shovel/foreign/s", {"value": {"src-uri": "amqp://u:secret@h"}}), 201)
        policy = self.as_user("policy")
        for method, path, body in (("GET", "parameters/shovel/foreign", None),
                                   ("GET", "parameters/shovel/foreign/s", None),
                                   ("PUT", "parameters/shovel/foreign/s", {"value": {}}),
                                   ("PUT", "parameters/vhost-limits/foreign/limits", {"value": {"max-queues": 0}}),
                                   ("DELETE", "parameters/shovel/foreign/s", None)):
            self.check(policy.request(method, path, body), 401)
        for path in ("parameters", "parameters/shovel"):
            self.assertNotIn("secret", str(policy.get(path).json))
            self.assertIn("secret", str(self.api.get(path).json))
        self.check(self.api.delete("vhosts/foreign"), 204)

    def test_a_deleted_users_event_streams_end(self):
        self.check(self.api.put("users/mallory", {"password": "mallory", "tags": ""}), 201)
        self.check(self.api.put(f"permissions/{V}/mallory", {"configure": ".*", "write": ".*", "read": ".*"}), 201)
        link = http.client.HTTPConnection(*self.api.address, timeout=20)
        login = base64.b64encode(b"mallory:mallory").decode()
        link.request("GET", f"/v1/{V}/events?topic=%23", headers={"Authorization": f"Basic {login}"})
        answer = link.getresponse()
        self.assertEqual(200, answer.status)
        self.check(self.api.delete("users/mallory"), 204)
        try:
            answer.read()  # to the end: there is one
        except http.client.IncompleteRead:
            pass
        link.close()

    def test_who_may_read_no_more_is_told_so(self):
        self.check(self.api.put("users/trent", {"password": "trent", "tags": ""}), 201)
        self.check(self.api.put(f"permissions/{V}/trent", {"configure": ".*", "write": ".*", "read": ".*"}), 201)
        link = pika.BlockingConnection(pika.ConnectionParameters(
            *self.broker.address, credentials=pika.PlainCredentials("trent", "trent")))
        channel = link.channel()
        channel.queue_declare("trents", exclusive=True)
        channel.basic_consume("trents", lambda *_: None)
        self.check(self.api.put(f"permissions/{V}/trent", {"configure": ".*", "write": "", "read": "^trents"}), 204)
        link.process_data_events(0.2)
        self.assertTrue(channel.is_open)  # what it reads it may read
        self.check(self.api.put(f"permissions/{V}/trent", {"configure": ".*", "write": ".*", "read": "^no"}), 204)
        try:
            for _ in range(100):
                if channel.is_open:
                    link.process_data_events(0.1)
        except pika.exceptions.ChannelClosedByBroker as closed:
            self.assertEqual(403, closed.reply_code)
        self.assertFalse(channel.is_open)
        link.close()
        self.check(self.api.delete("users/trent"), 204)

    def test_names_are_as_long_as_amqp_says_them(self):
        for path, body in ((f"exchanges/{V}/" + 256 * "x", {"type": "fanout"}), (f"queues/{V}/" + 256 * "q", {})):
            self.check(self.api.put(path, body), 400)
        self.check(self.api.put(f"queues/{V}/long-headers", {}), 201)
        self.check(self.api.post(f"exchanges/{V}/amq.default/publish", {
            "routing_key": "long-headers", "payload": "x", "payload_encoding": "string",
            "properties": {"headers": {"a": {300 * "n": 1, "b": 2}}, "expiration": "99999999999999999"}}), 200)
        link = pika.BlockingConnection(pika.ConnectionParameters(*self.broker.address))
        method, properties, body = link.channel().basic_get("long-headers", auto_ack=True)
        self.assertEqual((b"x", {"a": {"b": 2}}), (body, properties.headers))
        link.close()
        self.check(self.api.delete(f"queues/{V}/long-headers"), 204)


class Refusals(Running):
    def test_bad_bodies(self):
        for body in (b"{", b"[1]", b"nothing", b'{"a":1}{}', b"[" * 10_000, b'{"a":' * 10_000, b"\xff\xfe"):
            a = self.api.request("PUT", f"queues/{V}/bad", body)
            self.assertEqual(400, a.status, (body[:20], a))
            self.assertIn(a.json["error"], ("not_json", "bad_request"))
        self.check(self.api.get(f"queues/{V}/bad"), 404)

    def test_a_body_above_the_limit_is_not_read(self):
        a = self.api.request("POST", "definitions", b"x", {"Content-Length": str(21 << 20)})
        self.assertEqual(413, a.status)

    def test_paths_that_climb_or_lie(self):
        for path in ("queues/../users", "queues/%2e%2e/users", "queues/%2F/%00", "queues/%zz", "queues/%2F/.."):
            self.assertEqual(400, self.api.request("GET", path).status, path)
        for path in ("", "nothing", "queues/%2F/x/nothing", "queues%2F%2F", "users/guest/x"):
            self.assertEqual(404, self.api.request("GET", path).status, path)

    def test_methods_that_a_path_does_not_have(self):
        for method, path in (("PUT", "overview"), ("POST", "queues"), ("DELETE", "nodes"), ("PATCH", "users/guest")):
            a = self.api.request(method, path, {})
            self.assertEqual(405, a.status, (method, path))
            self.assertIn("GET", a.headers["Allow"])

    def test_what_is_missing_is_named(self):
        for method, path, body, why in (
                ("PUT", "users/u", {}, "tags_not_present"),
                ("PUT", "users/u", {"tags": "", "password_hash": "rubbish"}, "password_hash"),
                ("PUT", f"permissions/{V}/guest", {"configure": ""}, "write"),
                ("PUT", f"permissions/{V}/nobody", {"configure": "", "write": "", "read": ""}, "nobody"),
                ("PUT", f"policies/{V}/p", {"definition": {}}, "pattern"),
                ("PUT", f"policies/{V}/p", {"pattern": "x", "definition": {"unheard-of": 1}}, "unheard-of"),
                ("POST", f"exchanges/{V}/amq.direct/publish", {"payload": "x"}, "routing_key"),
                ("PUT", f"exchanges/{V}/x", {"type": "no-such-type"}, "no-such-type"),
                ("PUT", f"queues/{V}/q", {"arguments": {"x-max-length": "many"}}, "x-max-length")):
            a = self.api.request(method, path, body)
            self.assertEqual(400, a.status, (path, a))
            self.assertIn(why, a.json["reason"])


class Lasting(unittest.TestCase):
    def test_changes_outlive_the_process(self):
        with Broker() as broker:
            a = broker.api()
            a.put("vhosts/kept", {"description": "stays"})
            a.put("users/ann", {"password": "secret", "tags": "administrator,management"})
            a.put("permissions/kept/ann", {"configure": ".*", "write": ".*", "read": ".*"})
            a.put("policies/kept/p", {"pattern": ".", "definition": {"max-length": 3}, "apply-to": "queues"})
            a.put("queues/kept/q", {"durable": True})
            broker.kill()
            broker.start_again()
            a = broker.api("ann", "secret")
            self.assertEqual("stays", a.get("vhosts/kept").json["description"])
            self.assertEqual(["administrator", "management"], a.get("users/ann").json["tags"])
            self.assertEqual("p", a.get("queues/kept/q").json["policy"])
            link = pika.BlockingConnection(pika.ConnectionParameters(
                *broker.address, "kept", pika.PlainCredentials("ann", "secret")))
            self.assertEqual(204, broker.api().delete("users/ann").status)
            with self.assertRaises(pika.exceptions.ConnectionClosedByBroker):
                link.process_data_events(10)
            self.assertEqual(401, a.get("whoami").status)
            self.assertEqual(204, broker.api().delete("vhosts/kept").status)
            self.assertEqual([], broker.api().get("queues").json)

    def test_definitions_come_back_byte_for_byte(self):
        with Broker() as broker, Broker() as other:
            a = broker.api()
            a.put("vhosts/v", {"description": "d", "tags": "x,y"})
            a.put("users/ann", {"password": "secret", "tags": "management"})
            a.put("permissions/v/ann", {"configure": "a", "write": "b", "read": "c"})
            a.put("permissions/v/guest", {"configure": ".*", "write": ".*", "read": ".*"})
            a.put("topic-permissions/v/ann", {"exchange": "x", "write": "w", "read": "r"})
            a.put("policies/v/p", {"pattern": "q", "definition": {"max-length": 3}, "priority": 2})
            a.put("operator-policies/v/o", {"pattern": "q", "definition": {"message-ttl": 5}, "apply-to": "queues"})
            a.put("parameters/shovel/v/s", {"value": {"src-uri": "amqp://", "n": [1, 2.5, None, True]}})
            a.put("global-parameters/g", {"value": "text"})
            a.put("vhost-limits/v/max-queues", {"value": 7})
            a.put("exchanges/v/x", {"type": "topic", "arguments": {"alternate-exchange": "amq.fanout"}})
            a.put("queues/v/q", {"arguments": {"x-max-length": 5, "x-queue-type": "quorum"}})
            a.post("bindings/v/e/x/q/q", {"routing_key": "a.#", "arguments": {"k": "v"}})
            a.post("bindings/v/e/x/e/amq.direct", {"routing_key": "b"})
            exported = a.get("definitions").body
            self.assertEqual(204, other.api().request("POST", "definitions", exported).status)
            self.assertEqual(exported.decode(), other.api().get("definitions").body.decode())
            one = a.get("definitions/v").body
            self.assertNotIn(b'"vhost"', one)
            other.api().put("vhosts/copy")
            self.assertEqual(204, other.api().request("POST", "definitions/copy", one).status)
            self.assertEqual(one.decode(), other.api().get("definitions/copy").body.decode())
            form = (b'--cut\r\nContent-Disposition: form-data; name="file"; filename="d.json"\r\n\r\n' + exported
                    + b"\r\n--cut--\r\n")
            done = other.api().request("POST", "definitions", form, {"Content-Type": "multipart/form-data; boundary=cut"})
            self.assertEqual(204, done.status, done)


    def test_definitions_come_whole_or_not_at_all(self):
        with Broker() as broker:
            a = broker.api()
            a.put(f"queues/{V}/there", {"arguments": {"x-max-length": 5}})
            before = a.get("definitions").body.decode()
            new = {"vhosts": [{"name": "new"}], "users": [{"name": "ann", "password": "secret", "tags": ""}],
                   "policies": [{"vhost": "/", "name": "p", "pattern": ".", "definition": {"max-length": 1}}],
                   "exchanges": [{"vhost": "new", "name": "x", "type": "topic"}],
                   "queues": [{"vhost": "new", "name": f"q{n}"} for n in range(20)]
                             + [{"vhost": "/", "name": "there", "durable": True, "arguments": {}}],
                   "permissions": [{"vhost": "new", "user": "ann", "configure": "", "write": "", "read": ".*"}],
                   "bindings": [{"vhost": "new", "source": "x", "destination": f"q{n}", "destination_type": "queue",
                                 "routing_key": "a.#", "arguments": {}} for n in range(20)]}
            for section, wrong, why in (
                    ("permissions", {"vhost": "nowhere", "user": "ann", "configure": "", "write": "", "read": ""},
                     "there is no vhost 'nowhere'"),
                    ("permissions", {"vhost": "/", "user": "bob", "configure": "", "write": "", "read": ""},
                     "there is no user 'bob'"),
                    ("queues", {"vhost": "new", "name": "bad", "arguments": {"x-max-length": "many"}}, "queue 'bad'"),
                    ("exchanges", {"vhost": "new", "name": "bad", "type": "no-such-type"}, "no-such-type"),
                    ("policies", {"vhost": "/", "name": "bad", "pattern": "(", "definition": {}}, "policy 'bad'"),
                    ("queues", {"vhost": "new"}, '"name" is missing')):
                refused = a.post("definitions", {**new, section: new[section] + [wrong]})
                self.assertEqual((400, "bad_request"), (refused.status, refused.json["error"]), refused)
                self.assertIn(why, refused.json["reason"])
                self.assertIn("definitions:1:", refused.json["reason"])
                self.assertEqual(before, a.get("definitions").body.decode())
            self.assertEqual(204, a.post("definitions", new).status)
            self.assertEqual({"x-max-length": 5}, a.get(f"queues/{V}/there").json["arguments"], "it may hold messages")
            self.assertEqual("p", a.get(f"queues/{V}/there").json["policy"])
            a.put("permissions/new/guest", {"configure": ".*", "write": ".*", "read": ".*"})
            routed = [f"q{n}" for n in range(20)]
            self.assertEqual(sorted(routed), [q["name"] for q in a.get("queues/new", sort="name").json])
            self.check_routed(a, 20)
            broker.kill()
            broker.start_again()
            self.check_routed(broker.api(), 20)
            self.assertEqual(200, broker.api("ann", "secret").get("whoami").status)

    def check_routed(self, a, queues):
        a.post("exchanges/new/x/publish", {"routing_key": "a.b", "payload": "x", "properties": {}})
        self.assertEqual([1] * queues, [q["messages"] for q in a.get("queues/new").json])
        for q in range(queues):
            a.delete(f"queues/new/q{q}/contents")

    def test_a_policy_that_the_configuration_changed_reaches_queues_that_were_there(self):
        def configured(most):
            return f"""
[[policy]]
name = "short"
pattern = "^short$"
apply_to = "queues"
definition = {{ max-length = {most} }}
"""
        with Broker(config=configured(1)) as broker:
            broker.api().put(f"queues/{V}/short", {})
            broker.kill()
            broker.config = configured(3)
            broker.start_again()
            a = broker.api()
            for _ in range(5):
                a.post(f"exchanges/{V}/amq.default/publish", {"routing_key": "short", "payload": "x", "properties": {}})
            self.assertEqual(3, a.get(f"queues/{V}/short").json["messages"])


class Many(Running):
    """More than fits into a turn: lists are gathered in pieces, in whatever version of the topology there is by then."""

    COUNT = 3000

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        names = [f"n{n}" for n in range(cls.COUNT)]
        made = cls.api.post("definitions", {
            "vhosts": [{"name": "many"}],
            "permissions": [{"vhost": "many", "user": "guest", "configure": ".*", "write": ".*", "read": ".*"}],
            "exchanges": [{"vhost": "many", "name": n, "type": "fanout"} for n in names],
            "queues": [{"vhost": "many", "name": n} for n in names[:100]] + [{"vhost": "many", "name": "all"}],
            "bindings": [{"vhost": "many", "source": n, "destination": "all", "destination_type": "queue",
                          "routing_key": "", "arguments": {}} for n in names]
                        + [{"vhost": "many", "source": n, "destination": "n0", "destination_type": "exchange",
                            "routing_key": "k", "arguments": {}} for n in names[1:]]})
        assert made.status == 204, made

    def test_every_binding_is_listed_once(self):
        rows = self.api.get("bindings/many").json
        ends = [(b["source"], b["destination_type"], b["destination"], b["routing_key"]) for b in rows]
        self.assertEqual(len(ends), len(set(ends)))
        self.assertEqual(101 + self.COUNT + self.COUNT - 1, len(ends), "101 of them the default exchange's")
        page = self.api.get("bindings/many", page=2, page_size=100, sort="source").json
        self.assertEqual((len(ends), 100), (page["total_count"], page["item_count"]))
        self.assertEqual(sorted(b["source"] for b in rows)[100:200], [b["source"] for b in page["items"]])
        self.assertEqual(self.COUNT + 1, len(self.api.get("queues/many/all/bindings").json))
        self.assertEqual(self.COUNT - 1, len(self.api.get("exchanges/many/n0/bindings/destination").json))
        self.assertEqual(2, len(self.api.get("exchanges/many/n7/bindings/source").json))
        self.assertEqual(101, len(self.api.get("exchanges/many/amq.default/bindings/source").json))
        everywhere = self.api.get("bindings").json
        self.assertEqual(len(ends), len([b for b in everywhere if b["vhost"] == "many"]))

    def test_every_exchange_is_listed_once(self):
        names = [x["name"] for x in self.api.get("exchanges/many").json]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual(self.COUNT + 7, len(names))
        for _ in range(20):  # over both shards
            self.api.post("exchanges/many/n5/publish", {"routing_key": "", "payload": "x", "properties": {}})
        page = self.api.get("exchanges", page=1, page_size=1, name="n5", vhost="many").json
        self.assertEqual(1, len([x for x in page["items"] if x["name"].startswith("n5")]))
        found = [x for x in self.api.get("exchanges").json if x["name"] == "n5"]
        self.assertEqual([20], [x["message_stats"]["publish_in"] for x in found])

    def test_lists_hold_while_others_come_and_go(self):
        stop = threading.Event()

        def churn():
            other = self.broker.api()
            while not stop.is_set():
                for n in range(20):
                    other.put(f"queues/many/churn{n}", {})
                    other.post(f"bindings/many/e/n1/q/churn{n}", {"routing_key": "x"})
                for n in range(20):
                    other.delete(f"queues/many/churn{n}")
        at_it = threading.Thread(target=churn)
        at_it.start()
        try:
            for _ in range(10):
                rows = self.api.get("bindings/many").json
                lasting = [(b["source"], b["destination_type"], b["destination"]) for b in rows
                           if not b["destination"].startswith("churn")]
                self.assertEqual(len(lasting), len(set(lasting)))
                self.assertEqual(101 + self.COUNT + self.COUNT - 1, len(lasting))
        finally:
            stop.set()
            at_it.join()


class Health(Running):
    def test_checks(self):
        port = self.broker.address[1]
        for path in ("alarms", "local-alarms", "virtual-hosts", "is-in-service", "ready-to-serve-clients",
                     "below-node-connection-limit", "node-is-quorum-critical", "metadata-store/initialized",
                     f"port-listener/{port}", "protocol-listener/amqp091,mqtt", "certificate-expiration/1/months"):
            self.check(self.api.get("health/checks/" + path), 200, status="ok")
        self.check(self.api.get("health/checks/port-listener/1"), 503, status="failed", missing=1)
        self.check(self.api.get("health/checks/protocol-listener/stomp"), 503, status="failed", missing="stomp")
        self.check(self.api.get("health/checks/certificate-expiration/1/decades"), 400)

    def test_an_alarm_is_told(self):
        # Without a log nothing leaves memory before it is consumed.
        with Broker(settings=("shards=2", "store.mode=memory", "memory.budget=1MiB")) as broker:
            a = broker.api()
            a.put(f"queues/{V}/heavy", {"durable": False})
            link = pika.BlockingConnection(pika.ConnectionParameters(*broker.address))
            channel = link.channel()
            for _ in range(4):
                channel.basic_publish("", "heavy", b"x" * 500_000)

            def alarmed():
                answer = a.get("health/checks/alarms")
                return answer.status == 503 and [x["resource"] for x in answer.json["alarms"]] == ["memory"]
            self.assertTrue(wait_for(alarmed))
            self.assertTrue(a.get("nodes").json[0]["mem_alarm"])
            broker.kill()  # a connection that is blocked is not read: it could not be closed in order


if __name__ == "__main__":
    unittest.main()
