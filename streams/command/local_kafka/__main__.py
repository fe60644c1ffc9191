"""Fetch Java and Kafka's jars if they are not here, before something waits for them."""

import sys

from streams.command.local_kafka.cache import BrokerError
from streams.command.local_kafka.jars import fetch_kafka
from streams.command.local_kafka.java import find_java

if __name__ == "__main__":
    try:
        find_java()
        fetch_kafka()
    except BrokerError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("interrupted; what has come is kept, and the next start fetches the rest")
