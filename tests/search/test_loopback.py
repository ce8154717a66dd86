"""What a local launch starts listens on loopback alone."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

STARTED = """
import json, psutil
from search.cluster import start_ray, stop_ray
start_ray(None)
import ray
found = {}
for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
    for connection in process.net_connections(kind="inet"):
        if connection.status == psutil.CONN_LISTEN:
            found.setdefault(connection.laddr.ip, []).append(process.name())
print(json.dumps({"node": ray.util.get_node_ip_address(), "listening": found}))
stop_ray()
"""


@pytest.mark.slow
def test_ray_s_servers_cannot_be_reached_from_another_machine():
    done = subprocess.run(
        [sys.executable, "-c", STARTED], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["node"] == "127.0.0.1"
    # IPv4 addresses may be told as IPv6 has them.
    addresses = {address.removeprefix("::ffff:") for address in told["listening"]}
    assert addresses == {"127.0.0.1"}
    assert any("gcs_server" in names for names in told["listening"].values())
