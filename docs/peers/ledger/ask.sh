#!/bin/sh
# Asks some of the ten questions with jq, the fair way: a search for a text leaves out what cannot matter, where the
# question has such a text, before jq parses the rest.
#   sh ask.sh FOLDER BEFORE AFTER     with the two commits of `ledger answers DATABASE`
set -eu
folder=$1
before=$2
after=$3
case=fixture-25/cpu/f32/b1-s128
model=fixture-25

# Prints the name of a question, how long it took, and how many rows the answer has; $2 is a fixed text or nothing.
ask() {
    name=$1 text=$2 program=$3
    start=$(date +%s%N)
    if [ -n "$text" ]; then
        rows=$(cat "$folder"/*.jsonl | LC_ALL=C grep -F -- "$text" | jq -nc "$library $program" | jq -s '.[0] | length')
    else
        rows=$(cat "$folder"/*.jsonl | jq -nc "$library $program" | jq -s '.[0] | length')
    fi
    end=$(date +%s%N)
    printf '%-32s %10d ms, %s rows\n' "$name" $(((end - start) / 1000000)) "$rows"
}

library='
def median: sort | length as $n | if $n == 0 then null elif $n % 2 == 1 then .[$n / 2 | floor]
    else (.[$n / 2 - 1] + .[$n / 2]) / 2 end;
def latency: .samples.latency_ns | median;
def machine: .environment.machine;
def ran: .outcome != "skipped" and (.outcome != "passed" or (.samples.latency_ns | length) > 0);
def rank: [ran, .recorded_at, .id];
def latest(f): reduce (f | select(.purpose == "measure")) as $r ({};
    ($r.case + " " + ($r | machine)) as $key
    | if .[$key] == null or (.[$key] | rank) < ($r | rank)
      then .[$key] = ($r | {case, mark, outcome, recorded_at, id, purpose, samples, environment, metrics}) else . end) | [.[]];
'

ask "latest of a case" "\"case\":\"$case\"" \
    'latest(inputs) | map([machine, .mark, .outcome, latency, .recorded_at]) | sort'
ask "slowest cases of an endpoint" '"machine":"fixture-machine-1"' \
    'latest(inputs | select(.case | contains("/cpu/"))) | map([.case, .mark, latency] | select(.[2] != null))
     | sort_by([-.[2], .[0]]) | .[:10]'
ask "trend of a case" "\"case\":\"$case\"" \
    '[inputs | select(machine == "fixture-machine-1" and .outcome == "passed")
     | [.recorded_at, .mark, .environment.commit, latency]] | sort'
ask "failed since a date" '"recorded_at":"2026-01-05' \
    '[inputs | select(.outcome != "passed" and .outcome != "skipped")] | sort_by(.recorded_at, .id)
     | map([.case, machine, .mark, .outcome, .message])'
ask "noise by machine" "" \
    'latest(inputs) | map(select(.outcome == "passed")) | group_by(machine)
     | map([(.[0] | machine), .[0].mark, (map(.samples.latency_ns | median as $middle
       | 1.482602218505602 * (map(. - $middle | fabs) | median) / $middle) | median), length])'
ask "coverage of models by endpoint" "" \
    'latest(inputs) | group_by(.case | split("/")[:2])
     | map([(.[0].case | split("/")[:2]), (map(select(.outcome == "passed")) | length), length])'
ask "best machine for a model" "\"case\":\"$model/" \
    'latest(inputs) | map(select(.outcome == "passed")) | group_by(machine)
     | map([(.[0] | machine), .[0].mark, (map(latency | log) | add / length | exp)]) | sort_by(.[2]) | .[:1]'
ask "p95 of the samples of a case" "\"case\":\"$case\"" \
    '[inputs] | group_by(machine) | map((map(.samples.latency_ns[]) | sort) as $s | (0.95 * (($s | length) - 1)) as $at
       | ($at | floor) as $low
       | [(.[0] | machine), .[0].mark, $s[$low] + ($at - $low) * ($s[$low + 1] - $s[$low]), ($s | length)])'
ask "memory by model" "" \
    'latest(inputs) | group_by(.case | split("/")[0])
     | map([(.[0].case | split("/")[0]), .[0].mark, (map(.metrics.peak_memory_bytes) | max)])'
ask "two commits compared" '"outcome":"passed"' \
    "reduce (inputs | select(.environment.commit == \"$before\" or .environment.commit == \"$after\")) as \$r ({};
       .[\$r.environment.commit][\$r.case + \" \" + (\$r | machine)] = (\$r | latency))
     | .\"$before\" as \$a | .\"$after\" | to_entries | map(select(\$a[.key] != null)
       | {model: (.key | split(\"/\")[0]), ratio: (.value / \$a[.key])}) | group_by(.model)
     | map([.[0].model, (map(.ratio | log) | add / length | exp), length])"
