/* SPDX-License-Identifier: MIT
 *
 * What a test must know of the fake engine beyond core/engine/engine.h.
 */
#ifndef MR__FAKE_ENGINE_H
#define MR__FAKE_ENGINE_H

/* A file of this name in the store's folder: the engine is not made, MR_EFORMAT. */
#define FAKE_REFUSE "fake-refuse"

/* What `resume` of all runs goes on with: one run, which takes so long. */
#define FAKE_RESUMED_RUN "00000000-0000-7000-8000-000000000001"
#define FAKE_RESUMED_MS  300

#endif
