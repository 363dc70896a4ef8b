# SPDX-License-Identifier: AGPL-3.0-or-later
"""A real Kafka broker without containers: KRaft, one node, Java 17, archives from Maven Central by `pom.xml`.

::

    python deploy/kafka/broker.py install
    python deploy/kafka/broker.py run   --port 9092 --data deploy/kafka/data     # in the foreground
    python deploy/kafka/broker.py start --port 9092 --data deploy/kafka/data     # returns when it answers
    python deploy/kafka/broker.py stop  --data deploy/kafka/data

For trying out and for tests: one node keeps one copy of everything.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
DIST = HERE / "dist"
PACKAGES = "openjdk-17-jre-headless maven"
_CLUSTER_ID = "d2Fsa291dC1zdG9yZS0wMQ"  # any 16 bytes in URL-safe base64; the same for every broker of a cluster

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{host}:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={logs}
num.partitions=1
auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
"""


class BrokerError(RuntimeError):
    """The broker cannot be installed or started; the text says what to do."""


def missing_tools(names: tuple[str, ...] = ("java", "mvn")) -> str | None:
    """One line on what to install, or None when everything is there. Maven is needed only until `dist/` is filled."""
    missing = [n for n in names if shutil.which(n) is None and not (n == "mvn" and installed())]
    return f"{' and '.join(missing)} not found: apt-get install {PACKAGES}" if missing else None


def installed() -> bool:
    return any(DIST.glob("kafka_2.13-*.jar")) and any(DIST.glob("slf4j-simple-*.jar"))


def install() -> None:
    """Fetch the archives into `dist/` unless they are there."""
    if installed():
        return
    if problem := missing_tools():
        raise BrokerError(problem)
    command = ["mvn", "--quiet", "--batch-mode", "--file", str(HERE / "pom.xml"), "package"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise BrokerError(f"{' '.join(command)} failed:\n{tail}")


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Broker:
    """One broker on `host:port` that keeps its data in `data`. The same folder can be started again."""

    def __init__(self, data: Path, port: int = 9092, host: str = "127.0.0.1") -> None:
        self.data, self.port, self.host = Path(data).resolve(), port, host
        self.process: subprocess.Popen | None = None

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def start(self, timeout_s: float = 300.0) -> None:
        """Format the folder the first time, start, and wait until the broker accepts connections."""
        install()
        if problem := missing_tools(("java",)):
            raise BrokerError(problem)
        properties = self._configure()
        with (self.data / "broker.log").open("ab") as output:
            self.process = subprocess.Popen(
                [*self._java(), "kafka.Kafka", str(properties)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        (self.data / "broker.pid").write_text(str(self.process.pid))
        deadline = time.monotonic() + timeout_s
        while not self.answers():
            if self.process.poll() is not None:
                raise BrokerError(f"the broker ended with code {self.process.returncode}:\n{self._log_tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise BrokerError(f"no broker on {self.address} after {timeout_s:g} s:\n{self._log_tail()}")
            time.sleep(0.05)

    def answers(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def stop(self, timeout_s: float = 30.0) -> None:
        """Let it shut down in order; kill it when it does not."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def kill(self) -> None:
        """As a power cut does to the process: SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _configure(self) -> Path:
        self.data.mkdir(parents=True, exist_ok=True)
        properties = self.data / "server.properties"
        if not properties.exists():
            text = _PROPERTIES.format(
                host=self.host, port=self.port, controller_port=free_port(), logs=self.data / "logs"
            )
            properties.write_text(text)
        else:
            text = properties.read_text()
            if f"listeners=PLAINTEXT://{self.host}:{self.port}," not in text:
                raise BrokerError(f"{self.data} belongs to a broker on another address; see {properties}")
        if not (self.data / "logs" / "meta.properties").exists():
            format_command = ["kafka.tools.StorageTool", "format", "--standalone", "-t", _CLUSTER_ID, "-c", properties]
            done = subprocess.run([*self._java(), *map(str, format_command)], capture_output=True, text=True)
            if done.returncode:
                raise BrokerError(f"cannot format {self.data}:\n{done.stdout}{done.stderr}")
        return properties

    @staticmethod
    def _java() -> list[str]:
        return [
            "java", "-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{DIST}/*",
        ]  # fmt: skip

    def _log_tail(self) -> str:
        return "\n".join((self.data / "broker.log").read_text(errors="replace").splitlines()[-15:])


def _stop_by_pid(data: Path) -> None:
    path = data / "broker.pid"
    try:
        pid = int(path.read_text())
        os.kill(pid, signal.SIGTERM)
    except (FileNotFoundError, ProcessLookupError):
        raise BrokerError(f"no broker runs in {data}") from None
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    path.unlink()


def main() -> int:
    parser = argparse.ArgumentParser(description="A Kafka broker for trying out and for tests.")
    parser.add_argument("command", choices=("install", "run", "start", "stop"))
    parser.add_argument("--port", type=int, default=9092)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on and to tell clients")
    parser.add_argument("--data", type=Path, default=HERE / "data")
    arguments = parser.parse_args()
    broker = Broker(arguments.data, arguments.port, arguments.host)
    try:
        if arguments.command == "install":
            install()
        elif arguments.command == "stop":
            _stop_by_pid(arguments.data)
        else:
            broker.start()
            print(f"kafka://{broker.address}", flush=True)
            if arguments.command == "run":
                signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
                broker.process.wait()
    except BrokerError as error:
        print(f"broker: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, SystemExit):
        broker.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
