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
cp -r "$source/core" "$source/lua" "$work/"
cp -r "$source/sdk/include" "$work/sdk/"
cp -r "$source/tests/simulation" "$work/tests/"
cd "$work"

# sources_of LIBRARY FOLDER: as the build has them.
sources_of() {
  sed -n "/^$1_lib = /,/dependencies/p" "$2/meson.build" | grep -o "'[a-z_]*\.c'" | sed "s|'\(.*\)'|$2/\1|"
}

files="core/base/*.c core/model/*.c core/scheduler/*.c core/store/batch.c core/store/records.c
core/store/store_mem.c $(sources_of shard core/engine) core/engine/prune.c core/engine/prune_read.c core/engine/reads.c
$(sources_of port core/exec) tests/simulation/*.c"

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
decide=core/scheduler/decide.c
ends=core/scheduler/ends.c
apply=core/scheduler/apply.c
commands=core/scheduler/commands.c
resume=core/scheduler/resume.c

mutant effects-before-durable "$shard" 's/if (!sh->committing \&\& sh->s.event_count == 0 \&\& !sh->owner_bump) {/if (true) {/'
mutant effects-before-the-epoch "$shard" 's/ \&\& !sh->owner_bump) {/) {/'
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
mutant result-not-fed-again $recover 's/mr__shard_feed(sh, result);//'
mutant result-forgotten-early "$shard" 's/if (result->lsn == 0 || result->lsn > sh->lsn_durable ||/if (/'
mutant leftovers-stay $recover 's/^        drop_leftovers(&rec);//'
mutant revived-run-created-twice $recover 's/(mr__run_find(s, event.id) != NULL || mr__shard_unreadable(rec->sh, event.id) != NULL)/false/'
mutant revived-run-not-checkpointed "$shard" 's/^            put_revived(.*//'
mutant refused-revival-stays "$shard" 's/if (revived) { .*/if (false) {/'
mutant checkpoint-dropped-late $recover 's/mr__batch_del(&rec->sh->filling, key.bytes, key.len);/mr__batch_del(\&rec->sh->after, key.bytes, key.len);/'
mutant retry-while-ending "$shard" 's/if (.* \&\& (run->flags \& MR__RUNFLAG_ARCHIVED) != 0) {/if (false) {/'
mutant old-end-told "$shard" 's/if (run->log.len != effect->task) {/if (false) {/'
mutant index-says-too-much $archive 's/mr__buf_u64le(&value, pending_at(sh, n - 1)->place.lsn);/mr__buf_u64le(\&value, pending_at(sh, n - 1)->place.lsn + 1);/'
mutant index-of-what-is-not-durable $archive 's/place.lsn > sh->lsn_durable ||/place.lsn > sh->s.lsn ||/'
mutant finished-run-not-pending $archive 's/sh->s.failed |= mr__archive_add_pending(.*;/(void)place;/'
mutant wait-not-armed-again core/scheduler/resume.c 's/mr__effect_push(s, &s->now, MR__EFFECT_WAIT.*//'
mutant lost-attempt-taken-for-running core/scheduler/resume.c 's/^    switch (fate(user, run, t)) {/switch (fate(user, run, t) == MR__RESUME_GONE ? MR__RESUME_RUNNING : MR__RESUME_NOT_BEGUN) {/'
mutant own-attempt-lost "$shard" 's/(run->tasks\[task\].flags \& MR__TASKFLAG_OWN) != 0 ?/false ?/'
mutant unknown-commit-taken-for-written $commit 's/^    if (status != MR_OK) {/if (status != MR_OK \&\& status != MR_EUNKNOWN) {/'
mutant journal-before-the-rest $commit 's/mr__batch_put(&sh->filling, key.bytes, key.len, value.data, value.len);/mr__batch_put(\&sh->after, key.bytes, key.len, value.data, value.len);/'

# phases
mutant after-at-once $ends 's/&s->durable, MR__EFFECT_AFTER/\&s->now, MR__EFFECT_AFTER/'
mutant after-not-asked-again $resume 's/mr__effect_push(s, &s->durable, MR__EFFECT_AFTER.*//'
mutant before-not-asked-after-hooks $decide '/^void mr__decide_hooked/,/^}/s/mr__decide_ask_all_before(s, run);//'
mutant prepared-attempt-not-started $resume 's/} else if ((mr__run_binding(run, t)->flags \& MR__ACTION_BEFORE) != 0) {/} else if (false) {/'
mutant phases-never-forgotten "$shard" 's/const uint32_t kept = .*/const uint32_t kept = MR__ACTION_JOB;/'
mutant phase-of-another-time "$shard" '/^static bool phase_is_due/,/^}/s/return task->status == MR__TASK_ENDING;/return true;/;s/^    if (mr__run_attempt(run, effect->task) != effect->arg) {/    if (false) {/;s/default: return task->status == MR__TASK_RUNNING;/default: return true;/'
mutant fate-of-another-action "$shard" 's/&ref, mr__run_binding(run, task)/\&ref, \&run->plan->bindings[0]/'
mutant slot-of-what-ends-before-it-runs $apply 's/s->jobs_used += !held;/s->jobs_used += held;/'

# retries
mutant delay-is-nothing $ends 's/if (event.ms == 0) {/if (true) {/'
mutant delay-not-armed-again $resume 's/mr__effect_push(s, &s->now, MR__EFFECT_DELAY.*//'
mutant clock-jump-lengthens-a-time "$shard" 's/MR__MIN(left, MR__MIN(duration_ms, INT64_MAX \/ 2))/MR__MIN(left, INT64_MAX \/ 2)/'
mutant delay-not-doubled $ends 's/^            ms \*= 2;/            ms *= 1;/'
mutant judge-not-asked-again $resume 's/mr__effect_push(s, &s->now, MR__EFFECT_JUDGE.*//'
mutant retries-go-on $apply 's/^        detail->retries = 0;//'
mutant judged-after-a-cancel $ends 's/(run->tasks\[task\].flags \& MR__TASKFLAG_JUDGING) == 0 ||/false ||/'
mutant retry-hook-skipped $commands 's/1u << MR__HOOK_BEFORE_RETRY/0/'

# conditions and fan-outs
mutant conditions-again $decide 's/bool again = (task->flags \& MR__TASKFLAG_AGAIN) != 0;/bool again = false;/'
mutant block-not-passed $decide 's/(task->status == MR__TASK_CONTINUE ? MR__PREPARE_CONTINUED : 0)/0/'
mutant fan-active-not-decremented $apply 's/fan->active += (uint32_t)runs - (uint32_t)active;/fan->active += (uint32_t)runs;/'
mutant fan-without-room core/scheduler/ready.c 's/(max == 0 || fan->active < max)/true/'
mutant fan-not-closed $ends 's/^    mr__decide_close_fan_of(s, run, t);//'
mutant fan-stuck $decide 's/if (!fails || run->fan_open == 0 || !close_fans(s, run, true)) {/if (true) {/'
mutant fan-good-with-bad-children $apply 's/fan->bad += .*/fan->bad += 0;/'

mutant check-that-is-continued core/model/prepare.c 's/bool acts = !(check->block .*/bool acts = true;/'
mutant check-of-one-condition core/model/prepare.c 's/acts \&\& j < check->count/acts \&\& j < 1/'
mutant far-without-share "$shard" 's/MR__COPY_SHARE |/0 |/'

# when
mutant dead-for-good core/scheduler/ready.c 's/if (dies != is_dead) {/if (dies \&\& !is_dead) {/'
mutant always-beside-its-parents core/scheduler/ready.c 's/^        } else if (is == MR__GRAPH_OPEN) {/        } else if (is == MR__GRAPH_OPEN \&\& run->tasks[child].open > 0) {/'
mutant when-failed-after-success $decide 's/return !tainted;/return false;/'

# commands
mutant canceled-flag-lost $apply '/^static mr_status apply_started/,/^}/s/= MR__TASKFLAG_CANCELED | /= /'
mutant cancel-of-a-task-not-durable $commands 's/mr__decide_emit_task(s, run, MR__EVENT_TASK_CANCELING, t);//'
mutant late-success-goes-on $ends 's/^        cancel_children(s, run, t);//'
mutant pause-ignored-by-jobs $decide 's/!has_room(run) || !goes_on(run)) {/!has_room(run)) {/'
mutant pause-ignored-by-what-began $decide 's/^        return true; .. unpause, or the end.*//'

# share data
mutant share-before-durable core/engine/shard_results.c 's/^        mr__decide_share(.*/&\n(void)mr__share_put(mr__shard_context(sh, run)->share, result->sets[i].key, result->sets[i].json);/;s/^#include <stdlib.h>/&\n#include "core\/exec\/share.h"/'
mutant share-table-stale $recover 's/mr__shares_keep(sh);//'
mutant flush-fed-twice $recover 's/if (result->lsn == 0 || result->lsn > sh->lsn_durable) {/if (true) {/'
mutant flush-done-early "$shard" 's/^    result->done = done;/    done(arg, MR_OK);/'
mutant flush-never-closed "$shard" 's/^            result->done(result->arg, MR_ECLOSED);//'
mutant flush-refused "$shard" 's/result->status = refusal == NULL ? MR_OK : MR_ELIMIT;//'

# hooks and submits
mutant hook-not-asked-again $resume 's/mr__effect_push(s, &s->durable, MR__EFFECT_HOOK.*//'
mutant hooks-do-not-hold-up $decide 's/run->status != MR__RUN_PAUSED \&\& run->hooks_due == 0;/run->status != MR__RUN_PAUSED;/'
mutant hooks-passed-over "$shard" 's/if (run->hooks_due != 0 \&\& run->hooks_due != due) {/if (false) {/'
mutant hooks-beside-each-other "$shard" 's/return false; .. being called: memory.*//'
mutant kept-forgotten $decide 's/^    submit_kept(s, run, submit);//'

# pruning
prune=core/engine/prune.c
prune_read=core/engine/prune_read.c
mutant prune-of-what-is-back $prune 's/run->fate == MR__PRUNE_GOES \&\& is_back(prune, run->id)/false/'
mutant prune-without-the-index $prune 's/!mr__shard_index(prune->engine->shard, &prune->index_upto, index_next, prune)/true/'
mutant prune-keeps-one-less $prune_read 's/before < options->keep ||/before + 1 < options->keep ||/'
mutant prune-of-the-young $prune_read 's/|| finished.ended_ms >= options->before_ms;/;/'
mutant prune-leaves-the-parts $prune 's/^            put_part(prune, &step->parts\[i\]);//'
mutant prune-of-another-status $prune_read 's/(options->status < 0 || finished->status == options->status)/true/'

echo "$found found, $missed missed"
[ "$missed" -eq 0 ]
