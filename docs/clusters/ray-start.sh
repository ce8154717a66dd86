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
# The cluster asks whoever connects for a token, a new one at each start, in a file on every machine.
TOKEN=".ray/taskorder_token"
AUTH="RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=~/$TOKEN"

action="${1:?up or down}"
head="${2:?the name of the head}"
shift 2

on() { ssh -o BatchMode=yes "$1" "${@:2}"; }
start() {
  on "$1" "umask 077; mkdir -p .ray; cat > $TOKEN; $AUTH $VENV/bin/ray start ${*:2}" <<<"$token"
}

case "$action" in
  up)
    # The cluster's own ports are reached over the network; the dashboard stays on loopback.
    token="$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')"
    address="$(on "$head" hostname -I | awk '{print $1}')"
    start "$head" --head --port="$PORT" --node-ip-address="$address" \
      --dashboard-host=127.0.0.1 --disable-usage-stats
    for worker in "$@"; do
      start "$worker" --address="$address:$PORT" --disable-usage-stats
    done
    echo "on $head: export $AUTH; taskorder launch STUDY --address $address:$PORT"
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
