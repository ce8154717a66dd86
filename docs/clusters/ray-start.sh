#!/usr/bin/env bash
# A Ray cluster over several machines by ssh, without a cluster manager.
#
#   bash ray-start.sh up HEAD WORKER [WORKER...]     on the machine that you launch from
#   bash ray-start.sh down HEAD WORKER [WORKER...]
#
# HEAD and WORKER are names that ssh knows. TASKORDER_VENV is the environment's folder, at the same
# place on every machine; it holds taskorder, or Ray and the other packages that taskorder needs.
set -euo pipefail

VENV="${TASKORDER_VENV:-$HOME/taskorder/.venv}"
PORT="${RAY_PORT:-6379}"

action="${1:?up or down}"
head="${2:?the name of the head}"
shift 2

on() { ssh -o BatchMode=yes "$1" "${@:2}"; }

case "$action" in
  up)
    # The cluster's own ports are open to whoever reaches the machines: keep them in a private
    # network. The dashboard stays on loopback.
    address="$(on "$head" hostname -I | awk '{print $1}')"
    on "$head" "$VENV/bin/ray" start --head --port="$PORT" --node-ip-address="$address" \
      --dashboard-host=127.0.0.1 --disable-usage-stats
    for worker in "$@"; do
      on "$worker" "$VENV/bin/ray" start --address="$address:$PORT" --disable-usage-stats
    done
    echo "on $head: taskorder launch STUDY --address $address:$PORT"
    ;;
  down)
    for machine in "$@" "$head"; do
      on "$machine" "$VENV/bin/ray" stop
    done
    ;;
  *)
    echo "$action: neither up nor down" >&2
    exit 2
    ;;
esac
