"""Clients of paho-mqtt against a broker; started by paho.rs, which says where.

paho_clients.py plain VERSION PORT
paho_clients.py crowd VERSION PORT COUNT
paho_clients.py cuts VERSION PORT-TO-PUBLISH PORT-TO-SUBSCRIBE COUNT
"""

import sys
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

LIMIT = 60
WINDOW = 10


class Client:
    """A client whose loop runs in a thread of its own, and what it has seen."""

    def __init__(self, version, port, name="", lasting=False, will=None, inflight=20, **options):
        self.version = version
        self.messages = []
        self.published = []
        self.subscribed = threading.Event()
        self.connected = threading.Event()
        self.connections = 0
        clean = {} if version == 5 else {"clean_session": not lasting}
        protocol = mqtt.MQTTv5 if version == 5 else mqtt.MQTTv311
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=protocol, **clean, **options)
        self.client.reconnect_delay_set(0.01, 0.02)
        self.client.max_inflight_messages_set(inflight)
        self.client.on_connect = self.on_connect
        self.client.on_message = lambda client, data, message: self.messages.append(message)
        self.client.on_publish = lambda client, data, mid, code, properties: self.published.append(code)
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        if will:
            self.client.will_set(*will)
        arguments = {}
        if version == 5:
            arguments["clean_start"] = not lasting
            if lasting:
                properties = Properties(PacketTypes.CONNECT)
                properties.SessionExpiryInterval = 3600
                arguments["properties"] = properties
        self.client.connect_async("127.0.0.1", port, keepalive=10, **arguments)
        self.client.loop_start()

    def on_connect(self, client, data, flags, code, properties):
        assert not code.is_failure, code
        self.connections += 1
        self.connected.set()

    def subscribe(self, *arguments, **options):
        self.subscribed.clear()
        assert self.connected.wait(LIMIT)
        self.client.subscribe(*arguments, **options)
        assert self.subscribed.wait(LIMIT), "no SUBACK"

    def publish(self, *arguments, **options):
        """Publishes, and waits until that is acknowledged."""
        assert self.connected.wait(LIMIT)
        info = self.client.publish(*arguments, **options)
        info.wait_for_publish(LIMIT)
        assert info.is_published(), "not acknowledged"

    def wait_for_messages(self, count):
        wait_until(f"{count} messages", lambda: len(self.messages) >= count)

    def texts(self):
        return [f"{m.topic} {m.qos} {int(m.retain)} {m.payload.decode()}" for m in self.messages]

    def end(self):
        self.client.disconnect()
        self.client.loop_stop()


def wait_until(what, condition):
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, f"waited too long for {what}"
        time.sleep(0.005)


def equal(left, right):
    assert left == right, f"\n{left}\nis not\n{right}"


def plain(version, port):
    one, two = Client(version, port, "one"), Client(version, port)
    one.subscribe([("a/+", 2), ("b/#", 1)])
    for topic in "a/1", "b":
        for qos in 0, 1, 2:
            two.publish(topic, f"{qos}", qos)
    one.wait_for_messages(6)
    # It hands a message of QoS 2 out with its PUBREL, when another one may have come.
    equal(sorted(one.texts()), ["a/1 0 0 0", "a/1 1 0 1", "a/1 2 0 2", "b 0 0 0", "b 1 0 1", "b 1 0 2"])

    two.publish("kept/1", "first", 1, retain=True)
    two.publish("kept/1", "second", 2, retain=True)
    late = Client(version, port)
    late.subscribe("kept/#", 2)
    late.wait_for_messages(1)
    equal(late.texts(), ["kept/1 2 1 second"])

    late.subscribe("wills", 1)
    mortal = Client(version, port, will=("wills", "gone", 1))
    assert mortal.connected.wait(LIMIT)
    mortal.client.loop_stop()
    mortal.client.socket().close()
    late.wait_for_messages(2)
    equal(late.texts()[1:], ["wills 1 0 gone"])

    large = bytes(range(256)) * 256
    late.subscribe("large", 2)
    two.publish("large", large, 2)
    late.wait_for_messages(3)
    equal(late.messages[2].payload, large)

    waiting = Client(version, port, "waiting", lasting=True)
    waiting.subscribe("later", 2)
    waiting.end()
    for qos in 1, 2:
        two.publish("later", f"{qos}", qos)
    waiting = Client(version, port, "waiting", lasting=True)
    waiting.wait_for_messages(2)
    equal(sorted(waiting.texts()), ["later 1 0 1", "later 2 0 2"])

    sharing = [Client(version, port) for _ in range(3)]
    for client in sharing:
        client.subscribe("$share/group/work/#", 1)
    for number in range(30):
        two.publish(f"work/{number}", "x", 1)
    wait_until("all shares", lambda: sum(len(client.messages) for client in sharing) == 30)
    equal([len(client.messages) for client in sharing], [10, 10, 10])

    if version == 5:
        only_five(port, one, two)
    for client in [one, two, late, waiting, *sharing]:
        client.end()


def only_five(port, one, two):
    one.subscribe("quiet", options=SubscribeOptions(qos=1, noLocal=True))
    number = Properties(PacketTypes.SUBSCRIBE)
    number.SubscriptionIdentifier = 7
    one.subscribe("told", options=SubscribeOptions(qos=1), properties=number)
    properties = Properties(PacketTypes.PUBLISH)
    properties.ContentType = "text/plain"
    properties.ResponseTopic = "answers"
    properties.CorrelationData = b"question"
    properties.UserProperty = [("a", "1"), ("a", "2")]
    properties.MessageExpiryInterval = 90
    one.messages.clear()
    one.publish("quiet", "own", 1)
    two.publish("quiet", "other", 1)
    two.publish("told", "x", 1, properties=properties)
    one.wait_for_messages(2)
    equal(one.texts(), ["quiet 1 0 other", "told 1 0 x"])
    got = one.messages[1].properties
    equal((got.ContentType, got.ResponseTopic, got.CorrelationData), ("text/plain", "answers", b"question"))
    equal((got.UserProperty, got.SubscriptionIdentifier), ([("a", "1"), ("a", "2")], [7]))
    assert got.MessageExpiryInterval in (89, 90)


def crowd(version, port, count):
    """Publishes all at once, without a limit of its own, over a session that lasts and over one that does not."""
    subscriber = Client(version, port)
    subscriber.subscribe("numbers", 0)
    for name, lasting in ("lasting", True), ("clean", False):
        subscriber.messages.clear()
        # In 5.0 the broker says how many.
        publisher = Client(version, port, name, lasting, inflight=0 if version == 3 else 1000)
        assert publisher.connected.wait(LIMIT)
        for number in range(count):
            publisher.client.publish("numbers", f"{number}", 2)
        wait_until("all acknowledgements", lambda: len(publisher.published) >= count)
        received = lambda: [int(message.payload) for message in subscriber.messages]
        wait_until("all messages", lambda: len(set(received())) == count)
        time.sleep(0.5)
        print(name, publisher.connections, len(received()))
        publisher.end()
    subscriber.end()


def cuts(version, to_publish, to_subscribe, count):
    subscriber = Client(version, to_subscribe, "subscriber", lasting=True)
    # A SUBSCRIBE that is lost with its link is not sent again.
    while not subscriber.subscribed.wait(0.2):
        subscriber.client.subscribe("numbers", 2)
    publisher = Client(version, to_publish, "publisher", lasting=True)
    # With each connection it begins with the oldest, so with too many it would never get further.
    for number in range(count):
        wait_until("an acknowledgement", lambda: number - len(publisher.published) < WINDOW)
        publisher.client.publish("numbers", f"{number}", 2)
    wait_until("all acknowledgements", lambda: len(publisher.published) >= count)
    received = lambda: [int(message.payload) for message in subscriber.messages]
    wait_until("all messages", lambda: len(set(received())) == count)
    # What comes too late comes now.
    time.sleep(0.5)
    print(*received())
    publisher.end()
    subscriber.end()


if __name__ == "__main__":
    command, *numbers = sys.argv[1:]
    {"plain": plain, "crowd": crowd, "cuts": cuts}[command](*map(int, numbers))
