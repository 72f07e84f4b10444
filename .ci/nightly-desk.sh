#!/bin/sh
# The long part of the main job's proof: 20 kills at seeded instants, and the whole load with thinking time.
# Run by hand before a release; about 5 minutes on 2 cores. SEED=100 .ci/nightly-desk.sh kills at other instants.
set -eu
cd "$(dirname "$0")/.."

cargo build --release --example support_desk
DESK_KILLS=20 SEED="${SEED:-1}" cargo test --release --test desk
cargo run --release --example support_desk -- --crash-rate 0.1 --seed 7 --report json
