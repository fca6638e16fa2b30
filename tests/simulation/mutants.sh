#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Does the simulation find what it is there for? Plants one bug after the other in a copy of the tree,
# builds the simulation with it, and expects it to fail. A part of `./dev nightly`.
#
# usage: mutants.sh [SOURCE [NAME]]   (MILLRACE_SEEDS: how many seeds each bug has to survive)
set -eu

source=$(cd "${1:-$(dirname "$0")/../..}" && pwd)
only=${2:-}
MILLRACE_SEEDS=${MILLRACE_SEEDS:-3000}
export MILLRACE_SEEDS
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
mkdir -p "$work/sdk" "$work/tests" "$work/objects"
cp -r "$source/core" "$work/"
cp -r "$source/sdk/include" "$work/sdk/"
cp -r "$source/tests/simulation" "$work/tests/"
cd "$work"

files="core/base/*.c core/model/*.c core/scheduler/*.c core/store/batch.c core/store/records.c
core/store/store_mem.c core/engine/shard*.c core/engine/commit.c core/engine/archive.c core/engine/recover.c
core/engine/logbook.c core/engine/timers.c tests/simulation/*.c"

object_of() {
  echo "objects/$(echo "$1" | tr / _).o"
}

compile() {
  ${CC:-cc} -std=c11 -D_GNU_SOURCE -O1 -fno-strict-aliasing -I. -Isdk/include -c "$1" -o "$(object_of "$1")"
}

link() {
  ${CC:-cc} objects/*.o -o simulation -lcmocka -lyaml -lxxhash -lm -lpthread
}

# shellcheck disable=SC2086 # a list of patterns
for file in $files; do
  compile "$file"
done
link
MILLRACE_SEEDS=50 ./simulation >/dev/null 2>log || { echo "the simulation fails as it is:"; cat log; exit 1; }

found=0
missed=0

# mutant NAME FILES SED-SCRIPT: the first of the files in which the script changes anything has the bug.
mutant() {
  [ -z "$only" ] || [ "$only" = "$1" ] || return 0
  changed=
  for file in $2; do
    cp "$file" original
    sed -i "$3" "$file"
    cmp -s "$file" original || { changed=$file; break; }
  done
  if [ -z "$changed" ]; then
    echo "$1: the text that this bug changes is no longer there"
    missed=$((missed + 1))
    return 0
  fi
  if ! compile "$changed" 2>log || ! link; then
    cat log
    exit 1
  fi
  if timeout 600 ./simulation >/dev/null 2>log; then
    echo "$1: NOT FOUND"
    missed=$((missed + 1))
  else
    echo "$1: $(grep -m 1 -E 'simulation: |assert|MR_ASSERT|failed' log | cut -c 1-130)"
    found=$((found + 1))
  fi
  cp original "$changed"
  compile "$changed"
}

shard="core/engine/shard*.c"
commit=core/engine/commit.c
recover=core/engine/recover.c
archive=core/engine/archive.c

mutant effects-before-durable "$shard" 's/if (!sh->committing \&\& sh->s.event_count == 0) {/if (true) {/'
mutant replies-before-durable "$shard" 's/(mr__reply_at(sh, 0)->seq <= sh->seq_durable ||/(true ||/'
mutant sweep-skipped "$shard" 's/sh->opt.executor->ops->sweep(sh->opt.executor, .*/resume_swept(resume); (void)(0,/'
mutant lost-not-counted core/scheduler/apply.c 's/task->lost++;/(void)task;/'
mutant guard-dropped $commit 's/if (sh->owner_now.len == 0) {/if (true) {/'
mutant epoch-not-bumped $recover 's/sh->epoch++;//'
mutant owner-not-in-front $commit 's/mr__batch_init(&sh->filling);/sh->filling = rest; mr__batch_init(\&rest);/'
mutant trim-too-far $commit 's/if (upto <= sh->journal_first) {/upto += upto > sh->journal_first; &/'
mutant checkpoint-not-written $commit 's/mr__batch_put(&sh->after, key.bytes, key.len, value->data, value->len);//'
mutant checkpoint-never $commit 's/^    add_checkpoints(sh);//'
mutant checkpoint-of-the-next-entry $commit 's/\.lsn = sh->lsn_flying != 0 ? .*/.lsn = sh->s.lsn,/'
mutant checkpoint-kept core/engine/archive.c 's/if (run->has_checkpoint) {/if (false) {/'
mutant result-not-fed-again $recover 's/mr__shard_feed(sh, mr__result_at(sh, i));//'
mutant result-forgotten-early "$shard" 's/if (result->lsn == 0 || result->lsn > sh->lsn_durable) {/if (false) {/'
mutant leftovers-stay $recover 's/^        drop_leftovers(&rec);//'
mutant revived-run-created-twice $recover 's/if (created \&\& mr__run_find(s, event.id) != NULL) {/if (false) {/'
mutant revived-run-not-checkpointed "$shard" 's/^            put_revived(.*//'
mutant refused-revival-stays "$shard" 's/if (revived) { .*/if (false) {/'
mutant checkpoint-dropped-late $recover 's/mr__batch_del(&rec->sh->filling, key.bytes, key.len);/mr__batch_del(\&rec->sh->after, key.bytes, key.len);/'
mutant retry-while-ending "$shard" 's/if (command == MR__COMMAND_RETRY \&\& /if (false \&\& /'
mutant old-end-told "$shard" 's/if (run->log.len != effect->task) {/if (false) {/'
mutant index-says-too-much $archive 's/mr__buf_u64le(&value, pending_at(sh, n - 1)->place.lsn);/mr__buf_u64le(\&value, pending_at(sh, n - 1)->place.lsn + 1);/'
mutant index-of-what-is-not-durable $archive 's/place.lsn > sh->lsn_durable ||/place.lsn > sh->s.lsn ||/'
mutant finished-run-not-pending $archive 's/sh->s.failed |= mr__archive_add_pending(.*;/(void)place;/'
mutant wait-not-armed-again core/scheduler/resume.c 's/mr__effect_push(s, &s->now, MR__EFFECT_WAIT.*//'
mutant lost-attempt-taken-for-running core/scheduler/resume.c 's/^    switch (fate(user, run, t)) {/switch (fate(user, run, t) == MR__RESUME_GONE ? MR__RESUME_RUNNING : MR__RESUME_NOT_BEGUN) {/'
mutant own-attempt-lost "$shard" 's/(run->tasks\[task\].flags \& MR__TASKFLAG_OWN) != 0 ?/false ?/'
mutant unknown-commit-taken-for-written $commit 's/^    if (status != MR_OK) {/if (status != MR_OK \&\& status != MR_EUNKNOWN) {/'
mutant journal-before-the-rest $commit 's/mr__batch_put(&sh->filling, key.bytes, key.len, value.data, value.len);/mr__batch_put(\&sh->after, key.bytes, key.len, value.data, value.len);/'

echo "$found found, $missed missed"
[ "$missed" -eq 0 ]
