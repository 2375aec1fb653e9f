"""Words and scores by MQTT, against a real broker that comes and goes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minikws.cli.main import main
from minikws.errors import MissingExtraError, SettingsError
from minikws.streaming.live import Step, Window
from minikws.streaming.mqtt import MqttPublisher, discovery, parse_broker
from minikws.streaming.recognize import Command, Result
from tests.listening import EAGER, LABELS, noise, write_listening

NOON = 1_700_049_600.0  # 2023-11-15 12:00:00 UTC
PATIENCE_S = 30.0


def step(*scores: float, word: str | None = None) -> Step:
    command = None if word is None else Command(1000, word, 0.875)
    window = Window(0, 16_000, 16_000, np.array(scores))
    return Step(window, Result("yes", 0.5, False), command)


def until(is_true: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_true():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


class Broker:
    """A mosquitto on a free port, which can be stopped and started again."""

    def __init__(self, program: str, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._program, self._config = program, folder / "mosquitto.conf"
        self.write("allow_anonymous true")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def write(self, rules: str) -> None:
        self._config.write_text(f"listener {self.port} 127.0.0.1\npersistence false\n{rules}\n")

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._program, "-c", str(self._config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(self._answers)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None

    def hang(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    pytest.importorskip("paho.mqtt", reason="paho-mqtt absent: pip install 'minikws[mqtt]'")
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    program = shutil.which("mosquitto", path=path)
    if program is None:
        pytest.skip("broker absent: apt install mosquitto")
    broker = Broker(program, tmp_path)
    broker.start()
    yield broker
    broker.stop()


class Reader:
    """Another machine at the broker: keeps what it reads."""

    def __init__(self, broker: Broker) -> None:
        from paho.mqtt import client as paho

        self.messages: list[tuple[str, str, bool]] = []
        self.subscribed = threading.Event()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *_: self.subscribed.set()
        self._client.on_message = self._keep
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        assert self.subscribed.wait(PATIENCE_S)

    def _keep(self, client: Any, userdata: Any, message: Any) -> None:
        self.messages.append((message.topic, message.payload.decode(), message.retain))

    def of(self, topic: str) -> list[Any]:
        payloads = [text for name, text, _ in self.messages if name == topic]
        return [json.loads(text) if text.startswith("{") else text for text in payloads]

    def wait(self, topic: str, n: int = 1) -> list[Any]:
        until(lambda: len(self.of(topic)) >= n)
        return self.of(topic)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def reader(broker: Broker) -> Iterator[Reader]:
    reader = Reader(broker)
    yield reader
    reader.close()


@pytest.mark.children
def test_words_and_minutes(broker: Broker, reader: Reader) -> None:
    publisher = MqttPublisher(broker.address, ("quiet", "crying"), warn=pytest.fail)
    assert reader.wait("minikws/availability") == ["online"]
    publisher.follow(step(0.5, 0.5), NOON + 1)
    publisher.follow(step(0.25, 0.75, word="crying"), NOON + 2)
    assert reader.wait("minikws/word") == [
        {
            "event_type": "crying",
            "label": "crying",
            "score": 0.875,
            "time": "2023-11-15T12:00:02Z",
        }
    ]
    publisher.follow(step(1, 0), NOON + 60)
    publisher.close()
    assert reader.wait("minikws/scores", 2) == [
        {
            "start": "2023-11-15T12:00:00Z",
            "seconds": 60.0,
            "windows": 2,
            "mean": {"quiet": 0.375, "crying": 0.625},
            "largest": {"quiet": 0.5, "crying": 0.75},
        },
        {
            "start": "2023-11-15T12:01:00Z",
            "seconds": 60.0,
            "windows": 1,
            "mean": {"quiet": 1.0, "crying": 0.0},
            "largest": {"quiet": 1.0, "crying": 0.0},
        },
    ]
    assert reader.wait("minikws/availability", 2) == ["online", "offline"]


@pytest.mark.children
def test_home_assistant_may_come_later(broker: Broker) -> None:
    publisher = MqttPublisher(
        broker.address, ("quiet", "crying"), topic="home/nursery", warn=pytest.fail
    )
    until(publisher._client.is_connected)
    first = Reader(broker)
    first.wait("home/nursery/availability")
    first.close()
    late = Reader(broker)
    late.wait("home/nursery/availability")
    late.close()
    kept = {topic: text for topic, text, retain in late.messages if retain}
    assert set(kept) == {
        "home/nursery/availability",
        "homeassistant/event/home_nursery/word/config",
        "homeassistant/sensor/home_nursery/quiet/config",
        "homeassistant/sensor/home_nursery/crying/config",
    }
    sensor = json.loads(kept["homeassistant/sensor/home_nursery/crying/config"])
    assert sensor["state_topic"] == "home/nursery/scores"
    assert sensor["availability_topic"] == "home/nursery/availability"
    assert sensor["value_template"] == '{{ (100 * value_json.mean["crying"]) | round(1) }}'
    assert sensor["expire_after"] == 240
    event = json.loads(kept["homeassistant/event/home_nursery/word/config"])
    assert event["event_types"] == ["quiet", "crying"]
    assert event["device"] == sensor["device"]
    publisher.close()


@pytest.mark.children
@pytest.mark.slow
def test_a_broker_that_is_gone_and_back(broker: Broker) -> None:
    said: list[str] = []
    publisher = MqttPublisher(broker.address, ("quiet", "crying"), every_s=1, warn=said.append)
    until(publisher._client.is_connected)
    broker.stop()
    until(lambda: said)
    assert said[0].startswith(f"the MQTT broker {broker.address} is gone; listening goes on")
    began = time.monotonic()
    for second in range(5):
        publisher.follow(step(0.5, 0.5, word="crying"), NOON + second)
    assert time.monotonic() - began < PATIENCE_S / 2  # nobody waited for it
    broker.start()
    reader = Reader(broker)
    found = reader.wait("minikws/scores", 4)
    assert [record["start"][17:] for record in found] == ["00Z", "01Z", "02Z", "03Z"]
    assert reader.of("minikws/word") == []  # too late for a lamp
    assert "online" in reader.wait("minikws/availability")
    assert reader.wait("homeassistant/event/minikws/word/config")  # it had forgotten us
    until(lambda: len(said) == 2)
    assert said[1] == f"the MQTT broker {broker.address} is back"
    publisher.follow(step(0.5, 0.5, word="crying"), NOON + 6)
    assert len(reader.wait("minikws/word")) == 1
    publisher.close()
    reader.close()
    assert said[2:] == ["5 words were not published, the broker was gone"]


@pytest.mark.children
def test_a_broker_that_is_not_there_yet_and_one_that_never_comes(broker: Broker) -> None:
    broker.stop()
    said: list[str] = []
    publisher = MqttPublisher(broker.address, ("quiet", "crying"), warn=said.append)
    never = MqttPublisher("127.0.0.1:1", ("quiet", "crying"), warn=lambda sentence: None)
    never.follow(step(0.5, 0.5), NOON)
    never.close()
    until(lambda: said)
    assert "cannot be reached; listening goes on" in said[0]
    broker.start()
    until(publisher._client.is_connected)
    publisher.close()


@pytest.mark.children
@pytest.mark.slow
def test_a_broker_that_hangs(broker: Broker) -> None:
    publisher = MqttPublisher(broker.address, ("quiet", "crying"), every_s=1, warn=lambda _: None)
    until(publisher._client.is_connected)
    broker.hang()
    began = time.monotonic()
    for second in range(1000):
        publisher.follow(step(0.5, 0.5, word="crying"), NOON + second)
    publisher.close()
    assert time.monotonic() - began < PATIENCE_S  # it is not missed before 45 s


@pytest.mark.children
def test_a_broker_that_asks_for_a_password(broker: Broker, tmp_path: Path) -> None:
    broker.stop()
    broker.write("allow_anonymous false")
    broker.start()
    said: list[str] = []
    publisher = MqttPublisher(
        broker.address, ("quiet", "crying"), user="me", password="wrong", warn=said.append
    )
    until(lambda: said)
    assert "refuses the connection (Not authorized)" in said[0]
    publisher.close()


@pytest.mark.children
@pytest.mark.slow
def test_listen_publishes_and_is_missed_when_it_is_killed(
    broker: Broker, reader: Reader, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_listening(tmp_path)
    argv = ["listen", str(folder / "model.tflite"), *EAGER, "--json"]
    assert main([*argv, str(folder / "sound.wav")]) == 0
    expected = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    mqtt = ["--mqtt", broker.address, "--mqtt-topic", "hall", "--every", "1"]
    with subprocess.Popen(
        [sys.executable, "-m", "minikws", *argv, "-", *mqtt],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "MINIKWS_JIT": "0"},
    ) as process:
        assert process.stdin is not None
        sound = noise().astype("<i2").tobytes()
        process.stdin.write(sound[:100])
        process.stdin.flush()
        assert reader.wait("hall/availability") == ["online"]
        process.stdin.write(sound[100:])
        process.stdin.flush()
        words = reader.wait("hall/word", len(expected))
        assert [w["label"] for w in words] == [w["label"] for w in expected]
        assert set(words[0]["time"]) >= {"T", "Z"}
        process.send_signal(signal.SIGKILL)
        assert reader.wait("hall/availability", 2)[-1] == "offline"  # its last will
    for record in reader.of("hall/scores"):
        assert list(record["mean"]) == LABELS


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'minikws\[mqtt\]'"):
        MqttPublisher("nas", ("yes",), warn=pytest.fail)


def test_an_old_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", types.ModuleType("paho.mqtt.client"))
    with pytest.raises(MissingExtraError, match=r"needs paho-mqtt 2\.0 or newer"):
        MqttPublisher("nas", ("yes",), warn=pytest.fail)


@pytest.mark.parametrize("broker", ["", "nas:port", "nas:0", "nas:70000", "mqtt://nas", "a b"])
def test_brokers_that_are_none(broker: str) -> None:
    with pytest.raises(SettingsError, match="is no MQTT broker; give its name or address"):
        parse_broker(broker)


@pytest.mark.parametrize("topic", ["", "a/#", "+", "$SYS/x", "two words"])
def test_topics_that_are_none(topic: str) -> None:
    with pytest.raises(SettingsError, match="cannot be published to"):
        MqttPublisher("nas", ("yes",), topic=topic, warn=pytest.fail)


def test_labels_that_look_alike_have_sensors_of_their_own() -> None:
    found = discovery("minikws", ("a b", "a_b", "_silence_"), 60)
    assert len(found) == 4
    assert len({config["unique_id"] for config in found.values()}) == 4
