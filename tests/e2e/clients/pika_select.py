#!/usr/bin/python3
"""pika's callback driven connections (select loop, asyncio): pipelined confirms, acks, closes, TLS."""

import asyncio
import ssl

import pika
from pika.adapters.asyncio_connection import AsyncioConnection

from checks import CA_FILE, TLS_URL, URL, Skip, check, equal, fresh, run

MESSAGES = 5000


class Scenario:
    """One select connection; a subclass starts in `on_channel` and ends by calling `done()`."""

    def __init__(self, url=URL, heartbeat=None):
        parameters = pika.URLParameters(url)
        parameters.heartbeat = heartbeat
        if url.startswith("amqps"):
            context = ssl.create_default_context(cafile=CA_FILE)
            parameters.ssl_options = pika.SSLOptions(context, parameters.host)
        self.closed_with = None
        self.connection = pika.SelectConnection(
            parameters,
            on_open_callback=lambda c: c.channel(on_open_callback=self._on_channel),
            on_open_error_callback=self._on_closed,
            on_close_callback=self._on_closed,
        )

    def _on_channel(self, channel):
        self.channel = channel
        self.on_channel()

    def _on_closed(self, _connection, reason):
        self.closed_with = reason
        self.connection.ioloop.stop()

    def done(self):
        self.connection.close()

    def run(self):
        self.connection.ioloop.start()
        if not isinstance(self.closed_with, pika.exceptions.ConnectionClosedByClient):
            raise AssertionError(f"the connection ended with {self.closed_with!r}")
        return self


class Pipeline(Scenario):
    """Publishes without waiting, consumes with a prefetch, acks in batches, counts confirms."""

    body = b"x" * 100

    def on_channel(self):
        self.unconfirmed = set(range(1, MESSAGES + 1))
        self.lowest = 1
        self.received = []
        self.channel.confirm_delivery(self._on_confirm, callback=lambda _f: self._declare())

    def _declare(self):
        self.channel.queue_declare("", exclusive=True, callback=self._on_declared)

    def _on_declared(self, frame):
        self.queue = frame.method.queue
        self.channel.basic_qos(prefetch_count=100, callback=lambda _f: self._start())

    def _start(self):
        self.channel.basic_consume(self.queue, self._on_message)
        for number in range(MESSAGES):
            self.channel.basic_publish("", self.queue, self.body, pika.BasicProperties(message_id=str(number)))

    def _on_confirm(self, frame):
        assert isinstance(frame.method, pika.spec.Basic.Ack), frame
        tag, multiple = frame.method.delivery_tag, frame.method.multiple
        settled = range(self.lowest, tag + 1) if multiple else (tag,)
        self.unconfirmed.difference_update(settled)
        if multiple:
            self.lowest = tag + 1
        self._finish()

    def _on_message(self, channel, method, properties, body):
        self.received.append(properties.message_id)
        assert body == self.body, "a body came back changed"
        if method.delivery_tag % 50 == 0:
            channel.basic_ack(method.delivery_tag, multiple=True)
        self._finish()

    def _finish(self):
        if len(self.received) == MESSAGES and not self.unconfirmed:
            self.done()


@check(f"{MESSAGES} pipelined publishes are confirmed and delivered in order")
def pipeline():
    scenario = Pipeline().run()
    equal(scenario.received, [str(n) for n in range(MESSAGES)], "order")


@check("a channel's close reaches its callback; the connection opens another")
def channel_close():
    class Closes(Scenario):
        def on_channel(self):
            self.reasons = []
            self.channel.add_on_close_callback(self._on_channel_closed)
            self.channel.queue_declare(fresh("missing"), passive=True)

        def _on_channel_closed(self, _channel, reason):
            self.reasons.append(reason.reply_code)
            self.connection.channel(on_open_callback=lambda c: self.done())

    equal(Closes().run().reasons, [404], "reply codes")


@check("basic.return arrives before the confirm of the same message")
def return_before_confirm():
    class Returned(Scenario):
        def on_channel(self):
            self.events = []
            self.channel.add_on_return_callback(lambda _c, m, _p, b: self.events.append((m.reply_code, b)))
            self.channel.confirm_delivery(self._on_confirm, callback=lambda _f: self._publish())

        def _publish(self):
            self.channel.basic_publish("amq.direct", fresh("nowhere"), b"back", mandatory=True)

        def _on_confirm(self, frame):
            self.events.append(("ack", frame.method.delivery_tag))
            self.done()

    equal(Returned().run().events, [(312, b"back"), ("ack", 1)], "events")


@check("consumers can be cancelled, by the client and by the broker")
def cancel():
    class Cancels(Scenario):
        def on_channel(self):
            self.events = []
            self.channel.add_on_cancel_callback(self._on_cancelled)
            self.channel.queue_declare("", exclusive=True, callback=self._on_declared)

        def _on_declared(self, frame):
            self.queue = frame.method.queue
            self.tag = self.channel.basic_consume(self.queue, lambda *_: None)
            self.channel.basic_cancel(self.tag, callback=self._on_cancel_ok)

        def _on_cancel_ok(self, frame):
            self.events.append(frame.method.consumer_tag == self.tag)
            self.channel.basic_consume(self.queue, lambda *_: None, consumer_tag="mine")
            self.channel.queue_delete(self.queue)

        def _on_cancelled(self, frame):
            self.events.append(frame.method.consumer_tag)
            self.done()

    equal(Cancels().run().events, [True, "mine"], "events")


@check("two connections at once on asyncio: one publishes, one consumes")
def on_asyncio():
    async def scenario():
        done = asyncio.get_running_loop().create_future()
        queue, received = fresh("asyncio"), []

        def fail(_connection, reason):
            if not done.done():
                done.set_exception(AssertionError(repr(reason)))

        def open_connection(on_channel):
            return AsyncioConnection(
                pika.URLParameters(URL),
                on_open_callback=lambda c: c.channel(on_open_callback=on_channel),
                on_open_error_callback=fail,
                on_close_callback=fail,
            )

        def publish(channel):
            for number in range(1000):
                channel.basic_publish("", queue, b"%d" % number)

        def receive(_channel, _method, _properties, body):
            received.append(body)
            if len(received) == 1000:
                done.set_result(None)

        def consume(channel):
            def start(_frame):
                channel.basic_consume(queue, receive, auto_ack=True)
                connections.append(open_connection(publish))

            channel.queue_declare(queue, auto_delete=True, callback=start)

        connections = [open_connection(consume)]
        await asyncio.wait_for(done, 30)
        equal(received, [b"%d" % n for n in range(1000)], "order")
        for connection in connections:
            connection.close()
        while not all(connection.is_closed for connection in connections):
            await asyncio.sleep(0.01)

    asyncio.run(scenario())


@check("the same pipeline over TLS")
def over_tls():
    if not TLS_URL:
        raise Skip("AMQPS_URL is not set")
    equal(len(Pipeline(TLS_URL).run().received), MESSAGES, "received")


if __name__ == "__main__":
    run(120)
