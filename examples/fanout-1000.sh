#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Writes examples/fanout-1000.yaml: a dag is text, so any program can write one.
#
#     sh examples/fanout-1000.sh >examples/fanout-1000.yaml
#     sh examples/fanout-1000.sh 20 | millrace run -          also from standard input
set -eu
tasks=${1:-1000}

cat <<HEAD
# A fan-out of $tasks tasks and a join that checks them. Written by examples/fanout-1000.sh.
#
#     ./dev run examples/fanout-$tasks.yaml
#     ./dev run examples/fanout-$tasks.yaml -j 1       one process at a time
id: fanout-$tasks

vars:
  work: {desc: folder in which each task leaves one file, defaultValue: build/work/fanout-$tasks}

onLost: retry

tasks:
  - id: begin
    env: &env {WORK: "{{work}}"}
    run: |
      rm -rf "\$WORK"
      mkdir -p "\$WORK"

  # No task knows another; each leaves a file with its own name.
  - {id: leaf-1, dependOn: [begin], env: *env, run: &leaf ': >"\$WORK/\$MILLRACE_TASK"'}
HEAD

awk -v tasks="$tasks" 'BEGIN {
  for (i = 2; i <= tasks; i++)
    printf "  - {id: leaf-%d, dependOn: [begin], env: *env, run: *leaf}\n", i
  printf "\n  - id: join\n    dependOn:\n      ["
  for (i = 1; i <= tasks; i++)
    printf "%sleaf-%d", i == 1 ? "" : i % 10 == 1 ? ",\n       " : ", ", i
  print "]"
}'

cat <<TAIL
    env: {WORK: "{{work}}"}
    run: test "\$(find "\$WORK" -name 'leaf-*' | wc -l)" -eq $tasks
TAIL
