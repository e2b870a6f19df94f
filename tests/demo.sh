#!/usr/bin/env bash
# A box on loopback, under a temporary folder: Mosquitto, the daemon, and the product's own cases from an MQTT client.
# Stays up until Ctrl-C; with ONCE=1 it ends after the answers: 0 when all are there and right, 1 otherwise.
# Called by `make demo`, which builds and fetches first.
set -euo pipefail
cd "$(dirname "$0")/.."

CONSULTD=${CARGO_TARGET_DIR:-target}/release/consultd
MODEL=$CONSULTD_DEMO_MODEL
PORT=${PORT:-18883}
while (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; do PORT=$((PORT + 1)); done

folder=$(mktemp -d)
pids=()
cleanup() {
    trap - EXIT INT TERM
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$folder"
}
trap cleanup EXIT
trap 'exit 0' INT TERM

mosquitto=$(PATH="$PATH:/usr/sbin:/opt/homebrew/sbin:/usr/local/sbin" command -v mosquitto)
# Anonymous and without TLS: on loopback, for a demonstration. The box's own configuration is in image/.
cat >"$folder/mosquitto.conf" <<CONF
user $(id -un)
allow_anonymous true
message_size_limit 1048576
set_tcp_nodelay true
persistence true
persistence_location $folder/
autosave_interval 60
listener 0 $folder/mqtt.sock
listener $PORT 127.0.0.1
CONF
"$mosquitto" -c "$folder/mosquitto.conf" >"$folder/mosquitto.log" 2>&1 &
pids+=($!)

cat >"$folder/consultd.toml" <<CONF
[box]
name = "demo-box"
state_dir = "$folder/state"
[broker]
socket = "$folder/mqtt.sock"
[engine]
model = "$MODEL"
model_sha256 = "$(sed -n 's/^SHA256=//p' adapters/demo/fetch-model.sh)"
context_tokens = 2048
[adapters]
folders = ["$PWD/adapters/demo/internal", "$PWD/adapters/demo/obstetrics", "$PWD/adapters/demo/pediatrics"]
demonstration = true
CONF
"$CONSULTD" check --config "$folder/consultd.toml"
CONSULTD_LOG=info "$CONSULTD" run --config "$folder/consultd.toml" 2>"$folder/consultd.log" &
daemon=$!
pids+=("$daemon")
until grep -q "the worker is ready" "$folder/consultd.log" && grep -q "connected to the broker" "$folder/consultd.log"; do
    if ! kill -0 "$daemon" 2>/dev/null || grep -q "cannot work with these settings" "$folder/consultd.log"; then
        cat "$folder/consultd.log" >&2
        exit 1
    fi
    sleep 0.1
done
echo "the box is up; broker on 127.0.0.1:$PORT, log in $folder/consultd.log"

faults=0
ask() { # case, rule that must fire, adapter that must answer
    printf '\n── %s ──\n' "$1"
    local heard="$folder/$1.jsonl"
    "$CONSULTD" ask --broker "127.0.0.1:$PORT" --tablet demo --request "tests/cases/$1.json" --save "$heard" || true
    local wanted
    for wanted in '"type":"accepted"' '"type":"alert"' '"type":"progress"' '"type":"answer"' "\"rule\":\"$2\"" \
        "\"id\":\"$3\"" '"cannot_exclude":\[{' '最终决策权归执业医师所有' '"degraded":\[\]'; do
        grep -q "$wanted" "$heard" 2>/dev/null || { echo "MISSING in $1: $wanted" >&2; faults=$((faults + 1)); }
    done
}
ask angina.zh RF001 demo-internal
ask pregnancy-headache.zh RF020 demo-obstetrics
ask child-ear-pain.zh RF042 demo-pediatrics
ask shepherd-fever.zh RF080 demo-internal

printf '\n'
[ "$faults" = 0 ] || { echo "$faults faults; the daemon's log:" >&2; cat "$folder/consultd.log" >&2; exit 1; }
figures() {
    local worker pid
    worker=$(cat /proc/"$daemon"/task/*/children | tr -s " " "\n" | head -1)
    for pid in "$daemon" "$worker"; do
        [ -r "/proc/$pid/status" ] && sed -n "s/^VmHWM:[[:space:]]*/peak memory of $(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -d' ' -f2): /p" "/proc/$pid/status"
    done
    sed -nE 's/.*tokens_written=([0-9]+) write_ms=([0-9]+).*written_per_s="?([0-9.]+).*/\1 tokens written in \2 ms: \3 per second/p' "$folder/consultd.log"
}
[ ! -d /proc/self ] || figures
echo "all four cases answered. The demo model is small and its adapters are not physician-reviewed: not for patients."
[ -z "${ONCE:-}" ] || exit 0

id=$(cat /proc/sys/kernel/random/uuid 2>/dev/null || uuidgen | tr A-Z a-z)
cat <<TEXT

The box stays up until Ctrl-C. In another terminal:
  $CONSULTD ask "胸口疼，出冷汗" --age 58 --sex m --broker 127.0.0.1:$PORT
Or with any other MQTT client (here Debian's mosquitto-clients):
  mosquitto_sub -h 127.0.0.1 -p $PORT -t 'consult/1/res/my-tablet' &
  sed 's/"new"/"$id"/' tests/cases/angina.zh.json | mosquitto_pub -h 127.0.0.1 -p $PORT -q 1 -t consult/1/req/my-tablet -s
An answer is repeated, at growing intervals, until the tablet says that it has it:
  mosquitto_pub -h 127.0.0.1 -p $PORT -q 1 -t consult/1/receipt/my-tablet -m '{"v":1,"type":"receipt","id":"$id"}'
TEXT
wait "$daemon"
