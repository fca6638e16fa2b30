/* SPDX-License-Identifier: MIT
 *
 * The millrace program: from what was typed to an exit code. START HERE.
 *
 * options.c reads what was typed, with commands.c's table of verbs; the verb's function (cmd_*.c)
 * opens the store through session.c and asks; print.c and screen.c write. It uses the public
 * headers alone, as any other program would.
 */
#include "sdk/cli/commands.h"
#include "sdk/cli/print.h"

#include <fcntl.h>
#include <unistd.h>

/* A descriptor that was closed would be given to the store's files next, and talk written into
 * them. */
static void open_standard_streams(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) < 0) {
            _exit(MR__EXIT_STORE);
        }
    }
}

static int run(struct mr__cli *cli)
{
    const struct mr__options *options = &cli->options;
    if (options->help) {
        if (options->command == NULL && options->family != NULL &&
            mr__commands_help_family(cli, options->family)) {
            return MR__EXIT_OK;
        }
        mr__commands_help(cli, options->command);
        return MR__EXIT_OK;
    }
    if (options->command == NULL) {
        return mr__print_error(cli, MR_EINVAL, NULL, "a verb is missing: see millrace help");
    }
    int code = mr__session_start(cli);
    return code != MR__EXIT_OK ? code : options->command->run(cli);
}

int main(int argc, char **argv)
{
    struct mr__cli cli;
    open_standard_streams();
    int code = mr__session_init(&cli, argc, argv, mr__commands);
    if (code == MR__EXIT_OK) {
        code = run(&cli);
    }
    return mr__session_finish(&cli, code);
}
