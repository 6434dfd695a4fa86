"""A bare echo client: answers with as many bytes as it is told, with or without a row committed first; no JSON, no decision.

<prefix>/command -> <prefix>/action                       <prefix>/kept -> row committed -> <prefix>/action
"""

import argparse
import os
import signal
import sqlite3
from pathlib import Path

from voice_rl_plugin.config import MqttSection
from voice_rl_plugin.doors.broker import PahoBroker


def echo(settings: MqttSection, *, reply_bytes: int, row_bytes: int, database: Path) -> None:
    """Answer until SIGTERM.

    Args:
        settings: the broker; the door is the daemon's own, so that nothing but the work between differs.
        reply_bytes: size of an answer.
        row_bytes: size of a row.
        database: SQLite with the daemon's settings for durability.
    """
    table = sqlite3.connect(database, isolation_level=None)
    for line in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "CREATE TABLE echo (said TEXT)"):
        table.execute(line)
    row = "x" * row_bytes
    broker = PahoBroker(settings)
    broker.subscribe([f"{settings.prefix}/command", f"{settings.prefix}/kept"])
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    broker.start()
    is_online = False
    while not stopped:
        message = broker.receive(0.2)
        broker.take_deliveries()
        if broker.is_connected and not is_online:
            is_online = bool(broker.publish(f"{settings.prefix}/status", b"online", retain=True))
        if message is not None:
            if message.topic.endswith("/kept"):
                table.execute("INSERT INTO echo VALUES (?)", (row,))
            broker.publish(f"{settings.prefix}/action", message.payload[:reply_bytes].ljust(reply_bytes))
            broker.ack(message)
    broker.stop()
    table.close()


def main() -> None:
    """Run the echo client."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--prefix")
    parser.add_argument("--reply-bytes", type=int)
    parser.add_argument("--row-bytes", type=int)
    parser.add_argument("--database", type=Path)
    args = parser.parse_args()
    settings = MqttSection(host=args.host, port=args.port, prefix=args.prefix, client_id=f"{args.prefix}{os.getpid()}", session_expiry_s=0)
    echo(settings, reply_bytes=args.reply_bytes, row_bytes=args.row_bytes, database=args.database)


if __name__ == "__main__":
    main()
