#!/usr/bin/python3
"""A sensor: measures, and publishes each reading by MQTT.

    sensor.py kitchen [--seconds 1]    MQTT_URL=mqtt://guest:guest@localhost:1883

Readings are published with QoS 1, and retained: whoever comes later has the last one at once.
"""

import argparse
import itertools
import json
import math
import os
import time
import urllib.parse

import paho.mqtt.client as mqtt


def measured(step):
    return round(20 + 3 * math.sin(step / 10), 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("room")
    parser.add_argument("--seconds", type=float, default=1, help="from one reading to the next")
    arguments = parser.parse_args()
    at = urllib.parse.urlsplit(os.environ.get("MQTT_URL", "mqtt://guest:guest@localhost:1883"))
    client = mqtt.Client(client_id=f"sensor-{arguments.room}", clean_session=False)
    client.username_pw_set(at.username, at.password)
    client.reconnect_delay_set(1, 5)
    client.connect(at.hostname, at.port or 1883)
    client.loop_start()
    for number in itertools.count(1):
        reading = {"number": number, "celsius": measured(number)}
        # What is published while the broker cannot be reached goes out when it can again.
        client.publish(f"readings/{arguments.room}", json.dumps(reading), qos=1, retain=True)
        time.sleep(arguments.seconds)


if __name__ == "__main__":
    main()
