#!/usr/bin/python3
"""Makes what is ordered: a plain MQTT 5 client, which knows nothing of HTTP, of pages, or of AMQP.

    mqtt_worker.py [--seconds 1]    MQTT_URL=mqtt://guest:guest@localhost:1883

The desk must send orders to a topic for it: desk.py --call amq.topic/orders. Each step is told as progress (a message with
the user property x-progress) to the order's response topic, the last word is the answer. Workers share the subscription;
an order is acknowledged when it is done: one whose worker dies is made by the next one.
"""

import argparse
import os
import time
import urllib.parse

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

STEPS = ("taken up", "in the making", "on its way")
ORDERS = "$share/kitchen/orders"
KEPT_S = 3600


def make(client, order, seconds):
    def tell(text, **said):
        properties = Properties(PacketTypes.PUBLISH)
        properties.ContentType = "text/plain"
        if hasattr(order.properties, "CorrelationData"):
            properties.CorrelationData = order.properties.CorrelationData
        if said:
            properties.UserProperty = [(name.replace("_", "-"), str(value)) for name, value in said.items()]
        client.publish(order.properties.ResponseTopic, text, qos=1, properties=properties)
        client.loop_write()  # now, and not when this callback is over

    for number, step in enumerate(STEPS, 1):
        tell(step, x_progress=number)
        time.sleep(seconds)
    tell(f"Here you are: {order.payload.decode(errors='replace')}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1, help="how long a step takes")
    seconds = parser.parse_args().seconds
    at = urllib.parse.urlsplit(os.environ.get("MQTT_URL", "mqtt://guest:guest@localhost:1883"))
    client = mqtt.Client(client_id="kitchen-1", protocol=mqtt.MQTTv5)
    client.username_pw_set(at.username, at.password)
    client.reconnect_delay_set(1, 2)
    client.on_connect = lambda *_: client.subscribe(ORDERS, qos=1)
    client.on_subscribe = lambda *_: print("The kitchen is open.", flush=True)
    client.on_message = lambda _client, _said, order: make(client, order, seconds)
    kept = Properties(PacketTypes.CONNECT)
    kept.SessionExpiryInterval = KEPT_S
    client.connect(at.hostname, at.port or 1883, clean_start=False, properties=kept)
    client.loop_forever()


if __name__ == "__main__":
    main()
