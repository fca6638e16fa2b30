/* SPDX-License-Identifier: MIT
 *
 * The thread that takes the signals, and the runs that a signal or a deadline cancels.
 */
#ifndef MR__SIGNALS_H
#define MR__SIGNALS_H

#include "sdk/cli/session.h"

mr_status mr__signals_start(struct mr__cli *cli);
void mr__signals_stop(struct mr__cli *cli);
void mr__signals_set_phase(struct mr__cli *cli, enum mr__phase phase);

#endif
