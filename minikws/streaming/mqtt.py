"""Words and mean scores for other machines at home, by MQTT; Home Assistant finds them by itself.

::

    minikws/availability   online, or offline as soon as the broker misses us (last will); retained
    minikws/word           {"event_type": "yes", "label": "yes", "score": 0.93, "time": ...} at once
    minikws/scores         {"start": ..., "seconds": 60, "windows": 600, "mean": {"yes": ...}, ...}
    homeassistant/...      what Home Assistant needs to know of them (discovery); retained

The package paho-mqtt connects, and connects again, in a thread of its own; nothing here waits for
the broker. While it is gone, words are dropped (a lamp that goes on an hour late helps nobody), and
mean scores wait, up to `WAITING` of them.

Source: https://www.home-assistant.io/integrations/mqtt/ (discovery, sensor, event).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from threading import Lock, Thread
from typing import Any

from minikws.errors import MissingExtraError, SettingsError, import_extra
from minikws.streaming.follower import Follower
from minikws.streaming.live import Step
from minikws.streaming.log import Averager, Period, iso
from minikws.streaming.sources import Warn

PORT = 1883
DISCOVERY = "homeassistant"  # where Home Assistant looks
WAITING = 10_080  # messages for a broker that is gone: a week of minutes
KEEP_ALIVE_S = 30  # after one and a half times of it the broker counts us as gone
SLOWEST_RETRY_S = 60
LAST_WAIT_S = 2.0  # for the last messages


class MqttPublisher(Follower):
    """Publishes words and the mean scores of each period.

    Parameters
    ----------
    broker : ``HOST`` or ``HOST:PORT``.
    labels : of the scores.
    topic : what all topics begin with; two listeners at one broker need two.
    every_s : length of a period, seconds.
    user, password : where the broker asks for them.
    warn : is told when the broker is gone, refuses, or is back.
    fastest_retry_s : after a failed connection; later ones wait longer, up to a minute.

    Raises
    ------
    MissingExtraError : paho-mqtt is not installed, or older than 2.0.
    SettingsError : a broker, a topic or a period that cannot be.
    """

    def __init__(
        self,
        broker: str,
        labels: Sequence[str],
        *,
        topic: str = "minikws",
        every_s: float = 60.0,
        user: str | None = None,
        password: str | None = None,
        warn: Warn,
        fastest_retry_s: int = 1,
    ) -> None:
        host, port = parse_broker(broker)
        if not topic or set(topic) & set("+#\0 ") or topic.startswith("$"):
            raise SettingsError(
                f"the topic {topic!r} cannot be published to; use letters, digits, _, - and /, as "
                "in home/nursery"
            )
        paho = import_extra("paho.mqtt.client", extra="mqtt", purpose="publishing by MQTT")
        if not hasattr(paho, "CallbackAPIVersion"):
            raise MissingExtraError(
                "publishing by MQTT needs paho-mqtt 2.0 or newer, and an older one is installed; "
                "install it with: pip install 'minikws[mqtt]'"
            )
        self._topic, self._labels, self._warn = topic, tuple(labels), warn
        self._broker = f"{host}:{port}"
        self._averager = Averager(every_s)
        self._every_s = every_s
        self._lock = Lock()
        self._trouble = ""  # what was last said of the broker
        self.n_dropped = 0
        self._client: Any = paho.Client(paho.CallbackAPIVersion.VERSION2)
        client = self._client
        client.max_queued_messages_set(WAITING)
        client.reconnect_delay_set(fastest_retry_s, SLOWEST_RETRY_S)
        client.will_set(f"{topic}/availability", "offline", qos=1, retain=True)
        if user is not None:
            client.username_pw_set(user, password)
        client.on_connect = self._on_connect
        client.on_connect_fail = lambda *_: self._say("cannot be reached")
        client.on_disconnect = lambda *_: self._say("is gone")
        client.connect_async(host, port, keepalive=KEEP_ALIVE_S)
        client.loop_start()

    def follow(self, step: Step, time_s: float) -> None:
        """Publish the step's word, and the period before if it is over."""
        self._publish_scores(self._averager.add(time_s, step.window.scores))
        if step.command is None:
            return
        if not self._client.is_connected():
            self.n_dropped += 1
            return
        word = {
            "event_type": step.command.label,
            "label": step.command.label,
            "score": round(step.command.score, 6),
            "time": iso(round(time_s, 3)),
        }
        self._client.publish(f"{self._topic}/word", json.dumps(word))

    def close(self) -> None:
        """Publish the running period, say goodbye, and wait a little for both to be sent."""
        self._publish_scores(self._averager.finish())
        last = self._client.publish(f"{self._topic}/availability", "offline", qos=1, retain=True)
        if self._client.is_connected():
            with suppress(RuntimeError):  # the connection broke in this moment
                last.wait_for_publish(LAST_WAIT_S)
        self._client.on_disconnect = None
        self._client.disconnect()
        # It waits until the broker has everything, and a broker that hangs never has.
        stopping = Thread(target=self._client.loop_stop, daemon=True)
        stopping.start()
        stopping.join(LAST_WAIT_S)
        if self.n_dropped:
            self._warn(f"{self.n_dropped} words were not published, the broker was gone")

    def _publish_scores(self, period: Period | None) -> None:
        if period is None:
            return
        scores = {
            "start": iso(period.start_s),
            "seconds": period.seconds,
            "windows": period.n_windows,
            "mean": _named(self._labels, period.mean.tolist()),
            "largest": _named(self._labels, period.largest.tolist()),
        }
        # At least once: paho keeps it until the broker has it.
        self._client.publish(f"{self._topic}/scores", json.dumps(scores), qos=1)

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason: Any, more: Any) -> None:
        """Introduce ourselves, on every connection: the broker may have forgotten."""
        if reason.is_failure:
            self._say(f"refuses the connection ({reason})")
            return
        for topic, config in discovery(self._topic, self._labels, self._every_s).items():
            client.publish(topic, json.dumps(config), qos=1, retain=True)
        client.publish(f"{self._topic}/availability", "online", qos=1, retain=True)
        with self._lock:
            if self._trouble:
                self._warn(f"the MQTT broker {self._broker} is back")
            self._trouble = ""

    def _say(self, trouble: str) -> None:
        """Say what is wrong with the broker, once until it is well again."""
        with self._lock:
            if not self._trouble:
                self._warn(
                    f"the MQTT broker {self._broker} {trouble}; listening goes on, and trying to "
                    "connect"
                )
            self._trouble = trouble


def parse_broker(broker: str) -> tuple[str, int]:
    """Return host and port.

    Raises
    ------
    SettingsError : no host, or no port number after the colon.

    >>> parse_broker("nas"), parse_broker("nas:1884"), parse_broker("[::1]:1884")
    (('nas', 1883), ('nas', 1884), ('::1', 1884))
    """
    match = re.fullmatch(r"(\[[^\]]+\]|[^:\s/]+)(?::(\d{1,5}))?", broker)
    port = int(match[2] or PORT) if match else 0
    if match is None or not 1 <= port <= 65_535:
        raise SettingsError(
            f"{broker!r} is no MQTT broker; give its name or address, with a port where it is not "
            f"{PORT}, as in: --mqtt homeassistant.local:{PORT}"
        )
    return match[1].strip("[]"), port


def discovery(topic: str, labels: Sequence[str], every_s: float) -> dict[str, dict[str, Any]]:
    """Return Home Assistant's configuration messages by their topics.

    A sensor for each label (its mean score in %), and an event entity for the words.
    """
    node = slug(topic)
    common = {
        "availability_topic": f"{topic}/availability",
        "device": {
            "identifiers": [node],
            "name": topic,
            "model": "keyword spotter",
        },
        "origin": {"name": "minikws"},
    }
    found: dict[str, dict[str, Any]] = {
        f"{DISCOVERY}/event/{node}/word/config": {
            **common,
            "name": "word",
            "unique_id": f"{node}_word",
            "state_topic": f"{topic}/word",
            "event_types": list(labels),
            "icon": "mdi:account-voice",
        }
    }
    for number, label in enumerate(labels):
        # Two labels may look the same without their signs.
        name = slug(label)
        if name in [slug(other) for other in labels[:number]]:
            name = f"{name}_{number}"
        found[f"{DISCOVERY}/sensor/{node}/{name}/config"] = {
            **common,
            "name": label,
            "unique_id": f"{node}_score_{name}",
            "state_topic": f"{topic}/scores",
            "value_template": f"{{{{ (100 * value_json.mean[{json.dumps(label)}]) | round(1) }}}}",
            "unit_of_measurement": "%",
            "state_class": "measurement",
            "expire_after": round(3 * every_s) + 60,
            "icon": "mdi:waveform",
        }
    return found


def slug(text: str) -> str:
    """Return the text as a part of a topic that Home Assistant accepts.

    >>> slug("home/nursery"), slug("_silence_"), slug("ja!")
    ('home_nursery', '_silence_', 'ja_')
    """
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)


def _named(labels: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    return {label: round(value, 6) for label, value in zip(labels, values, strict=True)}
